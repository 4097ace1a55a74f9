/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "engine-private.h"

G_BEGIN_DECLS

/*
 * The plan file, all numbers little endian:
 *
 *   64 bytes   InferPlanHeader
 *   table      a GVariant a{sv}, see plan-write.c
 *   data       weights, plain and packed, each at a multiple of 64
 *
 * The table is copied and checked on load; the data is used where it is mapped. It holds no
 * machine code and no pointers.
 */
#define INFER_PLAN_MAGIC "INFERPLN"
#define INFER_PLAN_FORMAT 2
#define INFER_PLAN_ALIGNMENT 64

typedef struct {
  char magic[8];
  guint32 format;
  guint32 header_size;
  guint64 table_size;
  guint64 data_offset;
  guint64 data_size;
  guint64 table_hash; /* XXH3-64 */
  guint64 data_hash;
  guint64 reserved;
} InferPlanHeader;

G_STATIC_ASSERT(sizeof(InferPlanHeader) == 64);

/* The parts of the table. */
#define INFER_PLAN_SYMBOLS "a(sxxx)"       /* name, min, opt, max */
#define INFER_PLAN_TENSORS "a(suaxayii)"   /* name, type, dims, order, value blob, initial blob */
#define INFER_PLAN_KINDS "a{uu}"           /* tensor, kind: those that are not tensors */
#define INFER_PLAN_NODES "a(ssua{sv}aiai)" /* name, operator, version, attributes, in, out */
#define INFER_PLAN_GRAPHS "a(uaa{sv})"     /* node, its sub-networks, each as a tail is stored */
#define INFER_PLAN_STEPS "a(suus)"         /* name, nodes, anchor, implementation */
#define INFER_PLAN_BLOBS "a(tt)"           /* offset in the data, size */
#define INFER_PLAN_PACKS "a(uayi)"         /* tensor, key, blob */
#define INFER_PLAN_TIMINGS "a(ut)"         /* batch, nanoseconds */
/* Values of the symbols, then for each step an implementation, where it is not the step's own, and
 * a tactic. */
#define INFER_PLAN_TUNINGS "a(axa(ss))"
#define INFER_PLAN_INDICES "au"
/* A network in itself: symbols, tensors, kinds, nodes, graphs, inputs, outputs. */
#define INFER_PLAN_TAIL "a{sv}"

/* What a refittable engine was made from: a network in itself, the builder's fusion (b) and
 * precisions (u), and for each node what was asked of it: its type, and 65536 for the host. */
#define INFER_PLAN_MODEL "a{sv}"
#define INFER_PLAN_ON_HOST 65536
/* In place of a blob: contents that were left out of a stripped plan. */
#define INFER_PLAN_LEFT_OUT (-2)

/** A name for the program on its device, without weights: what its times are kept under. */
char *infer_plan_fingerprint(InferEngine *engine);

/** Checks what the loader cannot trust: that implementations support their steps, that layouts
 *  fit, that nothing inside a step is read outside. */
gboolean infer_program_check(const InferProgram *program, InferDevice *device, GError **error);

G_END_DECLS
