/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <infer/parsers.h>

#include <string.h>

/* The text format, seen through the nets that it makes and the errors that it gives. */

static InferNetwork *
parse(const char *text, GError **error)
{
  g_autoptr(GBytes) bytes = g_bytes_new_static(text, strlen(text));

  return infer_parse_caffe_bytes(bytes, NULL, "text", NULL, error);
}

#define HEAD                                                                                       \
  "layer { name: 'in' type: 'Input' top: 'x' input_param { shape { dim: [1, 3, 4, 4] } } }\n"

static void
check_good(const char *text)
{
  g_autoptr(GError) error = NULL;
  g_autoptr(InferNetwork) network = parse(text, &error);

  g_assert_no_error(error);
  g_assert_nonnull(infer_network_find_tensor(network, "y"));
}

static void
check_bad(const char *text, const char *message)
{
  g_autoptr(GError) error = NULL;
  g_autoptr(InferNetwork) network = parse(text, &error);

  g_assert_null(network);
  g_assert_true(error->domain == INFER_ERROR);
  if (!strstr(error->message, message)) {
    g_test_message("'%s' is not in: %s", message, error->message);
    g_test_fail();
  }
}

static void
test_forms(void)
{
  check_good(HEAD "layer { name: 'y' type: 'ReLU' bottom: 'x' top: 'y' }");
  check_good(HEAD "layer: < name: 'y'; type: \"Re\" 'LU', bottom: 'x' top: 'y' >  # the end");
  check_good(HEAD "layer { name: '\\x79' type: 'R\\145LU' bottom: 'x' top: '\\171' }");
  check_good(HEAD "layer { name: 'y' type: 'ReLU' bottom: 'x' top: 'y'\n"
                  "relu_param: { negative_slope: -1e-2f engine: CAFFE } param { lr_mult: 1 } }");
  check_good(HEAD "layer { name: 'y' type: 'Pooling' bottom: 'x' top: 'y'\n"
                  "pooling_param { pool: 1 kernel_size: 0x2 stride: 02 } }");
  check_good(HEAD
             "layer { name: 'y' type: 'Scale' bottom: 'x' top: 'y' scale_param { bias_term: True\n"
             "filler { type: 'constant' value: inf } } }");
}

static void
test_errors(void)
{
  check_bad(HEAD "layer { nam: 'y' }", "line 2: LayerParameter has no field 'nam'");
  check_bad(HEAD "\n\nlayer { name: y }", "line 4: a text in quotes");
  check_bad(HEAD "layer { name: 'y' name: 'z' }",
            "line 2: field 'name' of LayerParameter is given twice");
  check_bad(HEAD "layer { name: 'y\n", "line 2: a text has no closing");
  check_bad(HEAD "layer { name: '\\q' }", "'\\q' is no escape");
  check_bad(HEAD "layer { name: '\\377' }", "not UTF-8");
  check_bad(HEAD "layer { name: 'y'", "has no '}'");
  check_bad(HEAD "layer { phase: SOMETIMES }", "'SOMETIMES' is no value of field 'phase'");
  check_bad(HEAD "layer { phase: 7 }", "7 is no value");
  check_bad(HEAD "input_dim: 99999999999", "99999999999 is not in the range");
  check_bad(HEAD "input_dim: 1.5", "'1.5' is not an integer");
  check_bad(HEAD "layer { relu_param { negative_slope: red } }", "'red' is not a number");
  check_bad(HEAD "layer { transform_param { mirror: 2 } }", "is true or false");
  check_bad(HEAD "layer { relu_param: 3 }", "is a message");
  check_bad(HEAD "layer { name 'y' }", "':' is missing");
  check_bad(HEAD "layer { name: ['y'] }", "takes one value");
  check_bad(HEAD "input_dim: [1 2]", "',' or ']' is missing");
  check_bad(HEAD "layer { param { lr_mult: 1 }", "has no '}'");
  check_bad(HEAD "@", "has no meaning");
  check_bad("", "no layer");
}

static void
test_depth(void)
{
  g_autoptr(GString) text = g_string_new(HEAD "layer { loss_param ");

  for (guint i = 0; i < 100000; i++) {
    g_string_append(text, "{ a ");
  }
  check_bad(text->str, "has no end");
}

int
main(int argc, char **argv)
{
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/prototext/forms", test_forms);
  g_test_add_func("/prototext/errors", test_errors);
  g_test_add_func("/prototext/depth", test_depth);
  return g_test_run();
}
