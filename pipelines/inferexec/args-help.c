/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "inferexec.h"

#include <stdio.h>

#define AT(field) G_STRUCT_OFFSET(ExecArgs, field)

const ExecFlag exec_flags[] = {
    {"onnx", EXEC_FLAG_STRING, "FILE", AT(onnx), 0, 0, "an ONNX model"},
    {"tf", EXEC_FLAG_STRING, "FILE", AT(tf), 0, 0,
     "a frozen TensorFlow GraphDef, or the folder of a SavedModel"},
    {"tfInput", EXEC_FLAG_STRINGS, "NAME,X[,Y...]", AT(tf_inputs), 0, 0,
     "dimensions of an input that the graph does not say, in its order and without the batch; a\n"
     "        node that is no input becomes one, and what is before it is left out"},
    {"uff", EXEC_FLAG_STRING, "FILE", AT(uff), 0, 0, "a model in the Universal Framework Format"},
    {"uffInput", EXEC_FLAG_STRINGS, "NAME,X,Y,Z", AT(uff_inputs), 0, 0,
     "dimensions of an input that the file does not say, without the batch: channels, height and\n"
     "        width, or with --uffNHWC height, width and channels; may be given more than once"},
    {"uffNHWC", EXEC_FLAG_BOOL, NULL, AT(uff_nhwc), 0, 0,
     "the inputs of --uffInput have their channels last"},
    {"deploy", EXEC_FLAG_STRING, "FILE", AT(deploy), 0, 0,
     "a net as Caffe's prototxt; --model is its caffemodel, without which weights are random"},
    {"model", EXEC_FLAG_STRING, "FILE", AT(model), 0, 0,
     "a model in any format that is known, or a plan, told apart by content; with --deploy a\n"
     "        caffemodel"},
    {"checkOnly", EXEC_FLAG_BOOL, NULL, AT(check_only), 0, 0,
     "parse, and list every node that cannot be used; builds and runs nothing"},
    {"plugins", EXEC_FLAG_STRINGS, "LIBRARY", AT(plugins), 0, 0,
     "a library of layers that models and plans name; may be given more than once"},
    {"staticPlugins", EXEC_FLAG_STRINGS, "LIBRARY", AT(plugins), 0, 0, "the same as --plugins"},
    {"dynamicPlugins", EXEC_FLAG_STRINGS, "LIBRARY", AT(plugins), 0, 0, "the same as --plugins"},
    {"output", EXEC_FLAG_NAMES, "NAME[,NAME]", AT(outputs), 0, 0,
     "tensors that become outputs (default: those that nothing reads)"},
    {"decoder", EXEC_FLAG_STRING, "auto|NAME", AT(decoder), 0, 0,
     "make what turns outputs into objects or classes a part of the plan, so that the element\n"
     "        infer can use it: auto goes by the .modelinfo file or the outputs (default: the\n"
     "        outputs stay as they are)"},
    {"saveEngine", EXEC_FLAG_STRING, "FILE", AT(save_engine), 0, 0, "write the plan"},
    {"loadEngine", EXEC_FLAG_STRING, "FILE", AT(load_engine), 0, 0, "load a plan"},
    {"batch", EXEC_FLAG_UINT, "N", AT(batch), 1, 65536, "rows of a run (default 1)"},
    {"maxBatch", EXEC_FLAG_UINT, "N", AT(max_batch), 1, 65536,
     "rows to build for (default: those of --batch)"},
    {"shapes", EXEC_FLAG_STRING, "NAME:DIMS[,NAME:DIMS]", AT(shapes), 0, 0,
     "dimensions of inputs to run with, as in image:1x3x224x224"},
    {"minShapes", EXEC_FLAG_STRING, "NAME:DIMS[,NAME:DIMS]", AT(min_shapes), 0, 0,
     "least dimensions to build for (default: those of --optShapes)"},
    {"optShapes", EXEC_FLAG_STRING, "NAME:DIMS[,NAME:DIMS]", AT(opt_shapes), 0, 0,
     "dimensions to tune for (default: those of --shapes)"},
    {"maxShapes", EXEC_FLAG_STRING, "NAME:DIMS[,NAME:DIMS]", AT(max_shapes), 0, 0,
     "greatest dimensions to build for (default: those of --optShapes)"},
    {"device", EXEC_FLAG_DEVICE, "auto|cpu|cuda:N", AT(device), 0, 0,
     "where to run (default auto); a number N is cuda:N"},
    {"threads", EXEC_FLAG_UINT, "N", AT(threads), 0, 1024,
     "threads of the CPU, 0 for every processor (default 0)"},
    {"noVerify", EXEC_FLAG_BOOL, NULL, AT(no_verify), 0, 0,
     "build without comparing the result with the reference"},
    {"fp16", EXEC_FLAG_BOOL, NULL, AT(fp16), 0, 0, "let layers compute in FP16"},
    {"bf16", EXEC_FLAG_BOOL, NULL, AT(bf16), 0, 0, "let layers compute in BF16"},
    {"int8", EXEC_FLAG_BOOL, NULL, AT(int8), 0, 0,
     "let layers between quantize and dequantize nodes compute in INT8"},
    {"best", EXEC_FLAG_BOOL, NULL, AT(best), 0, 0, "let layers compute in any of these"},
    {"noTF32", EXEC_FLAG_BOOL, NULL, AT(no_tf32), 0, 0, "do not use TF32 for products of FP32"},
    {"refit", EXEC_FLAG_BOOL, NULL, AT(refittable), 0, 0,
     "build so that --refitFrom can set other weights"},
    {"stripWeights", EXEC_FLAG_BOOL, NULL, AT(stripped), 0, 0,
     "leave the weights out of the plan; --refitFrom brings them back"},
    {"refitFrom", EXEC_FLAG_STRING, "FILE", AT(refit_from), 0, 0,
     "give an engine of --refit or --stripWeights the weights of this model, before --saveEngine"},
    {"refitFromOnnx", EXEC_FLAG_STRING, "FILE", AT(refit_from), 0, 0, "the same as --refitFrom"},
    {"dumpRefit", EXEC_FLAG_BOOL, NULL, AT(dump_refit), 0, 0, "print the weights that can be set"},
    {"markDebug", EXEC_FLAG_NAMES, "NAME[,NAME]", AT(mark_debug), 0, 0,
     "tensors that stay as they are through all optimizations, for --saveDebugTensors"},
    {"saveDebugTensors", EXEC_FLAG_NAMES, "NAME:FILE[,NAME:FILE]", AT(save_debug), 0, 0,
     "write these tensors of --markDebug as .npy files"},
    {"layerPrecisions", EXEC_FLAG_NAMES, "NAME:TYPE[,NAME:TYPE]", AT(layer_precisions), 0, 0,
     "what layers compute in: fp32, fp16 or bf16; * in a name stands for any letters, and a name\n"
     "        without it wins"},
    {"layerDevices", EXEC_FLAG_NAMES, "NAME:DEVICE[,NAME:DEVICE]", AT(layer_devices), 0, 0,
     "where layers run: host, or device for that of --device; names as in --layerPrecisions"},
    {"builderOptimizationLevel", EXEC_FLAG_UINT, "N", AT(level), 0, 5,
     "0 builds at once and measures nothing, 5 measures everything (default 3)"},
    {"maxBuildTime", EXEC_FLAG_DOUBLE, "S", AT(time_budget), 0, 1e6,
     "seconds after which no more tactics are measured (default: no limit)"},
    {"memPoolSize", EXEC_FLAG_STRING, "workspace:MIB", AT(pool_sizes), 0, 0,
     "the most that a tactic may need while it runs, in MiB (default: no limit)"},
    {"workspace", EXEC_FLAG_DOUBLE, "MIB", AT(workspace), 1e-3, 1e9,
     "the same as --memPoolSize=workspace:MIB"},
    {"deterministic", EXEC_FLAG_BOOL, NULL, AT(deterministic), 0, 0,
     "take only tactics that give the same bits in every run"},
    {"timingCacheFile", EXEC_FLAG_STRING, "FILE", AT(timing_cache), 0, 0,
     "where measured times are kept (default: the user's cache)"},
    {"noTimingCache", EXEC_FLAG_BOOL, NULL, AT(no_timing_cache), 0, 0,
     "measure, and keep no times"},
    {"skipInference", EXEC_FLAG_BOOL, NULL, AT(skip_inference), 0, 0, "build or load, do not run"},
    {"buildOnly", EXEC_FLAG_BOOL, NULL, AT(skip_inference), 0, 0, "the same as --skipInference"},
    {"infStreams", EXEC_FLAG_UINT, "N", AT(streams), 1, 1024,
     "contexts that are kept busy in turn (default 1)"},
    {"noDataTransfers", EXEC_FLAG_BOOL, NULL, AT(no_transfers), 0, 0,
     "copy inputs to the device once, and outputs not at all while measuring"},
    {"iterations", EXEC_FLAG_UINT, "N", AT(iterations), 1, EXEC_MAX_RUNS,
     "least number of runs (default 10)"},
    {"warmUp", EXEC_FLAG_DOUBLE, "MS", AT(warm_up), 0, 3.6e6,
     "milliseconds to run before measuring (default 200)"},
    {"duration", EXEC_FLAG_DOUBLE, "S", AT(duration), 0, 86400,
     "least seconds to measure (default 3)"},
    {"avgRuns", EXEC_FLAG_UINT, "N", AT(avg_runs), 1, 1e9,
     "print the mean of every N runs (default 10, printed when given or with --verbose)"},
    {"percentile", EXEC_FLAG_PERCENTILES, "P[,P]", AT(percentiles), 0, 100,
     "percentiles to report (default 90,95,99)"},
    {"loadInputs", EXEC_FLAG_STRING, "NAME:FILE[,NAME:FILE]", AT(load_inputs), 0, 0,
     "contents of inputs: raw bytes, or a .npy file; NAME may stand in single quotes. A uint8 "
     "image\n"
     "        for a float image input is normalised as the model wants it. Inputs not named are\n"
     "        random, always the same; optional ones keep their defaults"},
    {"dumpOutput", EXEC_FLAG_BOOL, NULL, AT(dump_output), 0, 0,
     "print the outputs of the last run"},
    {"dumpProfile", EXEC_FLAG_BOOL, NULL, AT(dump_profile), 0, 0,
     "print the time of each step, from runs of their own"},
    {"loadRefOutputs", EXEC_FLAG_STRING, "FILE", AT(ref_outputs), 0, 0,
     "compare the outputs with these: JSON as --exportOutput writes it, or NAME:FILE[,NAME:FILE]\n"
     "        of .npy files; fails where they differ"},
    {"atol", EXEC_FLAG_DOUBLE, "X", AT(atol), 0, 1e30,
     "difference from --loadRefOutputs that is allowed (default 1e-5) ..."},
    {"rtol", EXEC_FLAG_DOUBLE, "X", AT(rtol), 0, 1e30,
     "... plus this times the value there (default 1e-5)"},
    {"dumpLayerInfo", EXEC_FLAG_BOOL, NULL, AT(dump_layer_info), 0, 0,
     "print the layers as parsed, and the steps that were made of them"},
    {"exportGraph", EXEC_FLAG_STRING, "FILE", AT(export_graph), 0, 0,
     "write the layers as parsed and the steps for Graphviz (dot -Tsvg)"},
    {"exportOutput", EXEC_FLAG_STRING, "FILE", AT(export_output), 0, 0,
     "write the outputs as JSON"},
    {"exportTimes", EXEC_FLAG_STRING, "FILE", AT(export_times), 0, 0,
     "write the times of each run as JSON"},
    {"exportProfile", EXEC_FLAG_STRING, "FILE", AT(export_profile), 0, 0,
     "write the time of each step as JSON"},
    {"exportLayerInfo", EXEC_FLAG_STRING, "FILE", AT(export_layer_info), 0, 0,
     "write the steps as JSON"},
    {"verbose", EXEC_FLAG_BOOL, NULL, AT(verbose), 0, 0, "say more"},
    {"version", EXEC_FLAG_BOOL, NULL, AT(version), 0, 0, "print the version"},
    {"help", EXEC_FLAG_BOOL, NULL, AT(help), 0, 0, "print this"},
    {NULL},
};

void
exec_print_help(void)
{
  printf("Usage: inferexec --onnx=FILE | --tf=FILE | --uff=FILE | --deploy=FILE --model=FILE |\n"
         "                 --model=FILE | --loadEngine=FILE [flags]\n\n"
         "Builds an engine from a model or loads a plan, runs it, and reports times.\n\n");
  for (const ExecFlag *flag = exec_flags; flag->name != NULL; flag++) {
    g_autofree char *left = g_strdup_printf("--%s%s%s", flag->name, flag->value ? "=" : "",
                                            flag->value ? flag->value : "");
    printf("  %s\n        %s\n", left, flag->help);
  }
}
