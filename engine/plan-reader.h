/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "plan.h"

G_BEGIN_DECLS

/* A plan that is being read. */
typedef struct {
  const char *source;
  GVariant *table;
  GBytes *data;
  GArray *blobs; /* GBytes * */
  InferNetwork *network;
  InferOrder *orders;
  GHashTable *missing; /* names of tensors without contents */
  guint depth;         /* sub-networks around */
} InferPlanReader;

/** infer_plan_damaged: sets an error that names the plan. Returns: FALSE */
gboolean infer_plan_damaged(const char *source, GError **error, const char *format, ...)
    G_GNUC_PRINTF(3, 4);
/** infer_plan_part: Returns: (transfer full) (nullable): a part of the table. */
GVariant *infer_plan_part(InferPlanReader *reader, const char *name, const char *type,
                          GError **error);
/** infer_plan_blob: Returns: (nullable): the blob of that number. */
GBytes *infer_plan_blob(InferPlanReader *reader, gint index);

/* plan-steps.c */
gboolean infer_plan_read_steps(InferPlanReader *reader, InferProgram *program, InferDevice *device,
                               GError **error);
gboolean infer_plan_read_tunings(InferPlanReader *reader, InferProgram *program,
                                 InferDevice *device, GError **error);
gboolean infer_plan_read_packs(InferPlanReader *reader, InferEngine *engine, GError **error);
gboolean infer_plan_read_timings(InferPlanReader *reader, InferEngine *engine, GError **error);

G_END_DECLS
