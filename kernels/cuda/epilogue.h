/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * What is done to the result of a convolution or product, element by element: a little program.
 * Read by C and by the kernel that interprets it where a library does not take it in.
 */

#define INFER_EPILOGUE_MAX_OPS 12
#define INFER_EPILOGUE_MAX_SIDES 6

typedef enum {
  INFER_EPILOGUE_ADD,
  INFER_EPILOGUE_SUB,
  INFER_EPILOGUE_MUL,
  INFER_EPILOGUE_DIV,
  INFER_EPILOGUE_MAX,
  INFER_EPILOGUE_MIN,
  INFER_EPILOGUE_RELU,  /* clipped to p0, p1 */
  INFER_EPILOGUE_LEAKY, /* slope p0 */
  INFER_EPILOGUE_SIGMOID,
  INFER_EPILOGUE_TANH,
  INFER_EPILOGUE_ELU, /* alpha p0 */
  INFER_EPILOGUE_GELU,
  INFER_EPILOGUE_GELU_TANH,
  INFER_EPILOGUE_SWISH, /* beta p0 */
  INFER_EPILOGUE_SOFTPLUS,
  INFER_EPILOGUE_EXP,
  INFER_EPILOGUE_ABS,
  INFER_EPILOGUE_NEG,
  INFER_EPILOGUE_SQRT,
} InferEpilogueMode;

/* Where the second operand of the first six is. */
typedef enum {
  INFER_EPILOGUE_NONE,
  INFER_EPILOGUE_VALUE,   /* value b */
  INFER_EPILOGUE_SCALAR,  /* p0 */
  INFER_EPILOGUE_CHANNEL, /* side b, one element for each channel */
  INFER_EPILOGUE_TENSOR,  /* side b, of the result's dimensions */
} InferEpilogueOperand;

/* Operation i makes value i + 1; value 0 is the result that comes in. */
typedef struct {
  int mode, operand;
  int a, b;
  float p0, p1;
} InferEpilogueOp;

typedef struct {
  int n;
  InferEpilogueOp ops[INFER_EPILOGUE_MAX_OPS];
} InferEpilogueProgram;

/* A channels-last tensor: elements from one to the next along images and three spatial axes. */
typedef struct {
  void *data;
  long long stride[4];
} InferEpilogueTensor;

typedef struct {
  long long size[4];            /* images, depth, height, width */
  int groups, channels, padded; /* channels of a group, and what they are padded to in the source */
} InferEpilogueShape;

/* Parameters of infer_epilogue_*: the shape, the dense source, the destination, sides, program. */
typedef struct {
  InferEpilogueTensor side[INFER_EPILOGUE_MAX_SIDES];
} InferEpilogueSides;
