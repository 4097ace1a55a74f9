/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "token.h"

G_BEGIN_DECLS

/**
 * prototext_any_message:
 * @in: at the '{' or '<' of a message that no descriptor describes
 * @error: return location
 *
 * Returns: (transfer full) (nullable): its fields as a vardict: integers 'x', floats 'd', texts and
 *   words 's', messages 'a{sv}'; what is given more than once as 'av'
 */
GVariant *prototext_any_message(TokenReader *in, GError **error);

G_END_DECLS
