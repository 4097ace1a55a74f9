/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <infer/infer.h>

/*
 * Classic networks for images, defined layer by layer with random weights: the shapes and the work
 * are those of the papers, the results mean nothing. The input is "data", [batch, 3, 224, 224] (227
 * for AlexNet), the output "prob", [batch, 1000].
 */

/* Krizhevsky, Sutskever and Hinton 2012, with its two groups. */
InferNetwork *zoo_alexnet(guint32 seed);
/* Simonyan and Zisserman 2014, configuration D. */
InferNetwork *zoo_vgg16(guint32 seed);
/* Szegedy and others 2014, without the auxiliary classifiers. */
InferNetwork *zoo_googlenet(guint32 seed);
/* He and others 2015, with the stride in the 3x3 convolutions. */
InferNetwork *zoo_resnet50(guint32 seed);
/* Iandola and others 2016, version 1.1. */
InferNetwork *zoo_squeezenet(guint32 seed);
/* Sandler and others 2018, width 1. */
InferNetwork *zoo_mobilenet_v2(guint32 seed);

typedef struct {
  const char *name;
  InferNetwork *(*create)(guint32 seed);
} ZooEntry;

/* Every network; the last has no name. */
extern const ZooEntry zoo_entries[];
