/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <gio/gio.h>

G_BEGIN_DECLS

/* The words of protobuf's text format. */
typedef enum { TOKEN_END, TOKEN_WORD, TOKEN_NUMBER, TOKEN_TEXT, TOKEN_SIGN } TokenKind;

/* The longest word or number; a text may be longer. */
#define TOKEN_MAX 128

/**
 * TokenReader:
 * @line: where the token stands, from 1
 * @kind: what it is
 * @word: the token as it is written; a text's begin, for messages
 * @sign: the character of a sign
 * @from: (array length=length): a text without its quotes, with its escapes
 *
 * One token at a time.
 */
typedef struct {
  const char *at;
  const char *end;
  guint next_line;
  guint line;
  TokenKind kind;
  char word[TOKEN_MAX];
  char sign;
  const char *from;
  gsize length;
} TokenReader;

void token_reader_init(TokenReader *reader, const char *text, gsize size);

/** token_next: goes to the next token. */
gboolean token_next(TokenReader *reader, GError **error);

/** token_is: whether the token is the sign @sign. */
gboolean token_is(const TokenReader *reader, char sign);

/** token_error: sets an error "line N: message". Returns: FALSE */
gboolean token_error(const TokenReader *reader, GError **error, const char *format, ...)
    G_GNUC_PRINTF(3, 4);

/** token_text: takes texts that follow each other. Returns: (transfer full) (nullable) */
GString *token_text(TokenReader *reader, GError **error);

/** token_integer: takes a decimal, octal or hexadecimal number in [min, max]. */
gboolean token_integer(TokenReader *reader, gint64 min, gint64 max, gint64 *value, GError **error);

/** token_real: takes a number, "inf" or "nan". */
gboolean token_real(TokenReader *reader, double *value, GError **error);

G_END_DECLS
