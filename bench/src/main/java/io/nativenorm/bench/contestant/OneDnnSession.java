package io.nativenorm.bench.contestant;

import static org.bytedeco.dnnl.global.dnnl.*;

import io.nativenorm.DataType;
import io.nativenorm.bench.Cell;
import io.nativenorm.bench.Contestant;
import io.nativenorm.bench.Direction;
import io.nativenorm.bench.Operation;
import io.nativenorm.bench.Results;
import io.nativenorm.bench.Workload;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.HashMap;
import java.util.Map;
import org.bytedeco.dnnl.dnnl_engine;
import org.bytedeco.dnnl.dnnl_exec_arg_t;
import org.bytedeco.dnnl.dnnl_memory;
import org.bytedeco.dnnl.dnnl_memory_desc;
import org.bytedeco.dnnl.dnnl_primitive;
import org.bytedeco.dnnl.dnnl_primitive_attr;
import org.bytedeco.dnnl.dnnl_primitive_desc;
import org.bytedeco.dnnl.dnnl_stream;
import org.bytedeco.javacpp.FloatPointer;
import org.bytedeco.javacpp.Pointer;
import org.bytedeco.javacpp.ShortPointer;

/** A primitive of oneDNN with its memory. */
final class OneDnnSession implements Contestant.Session {
  private static final int[] ARGUMENTS = {
    DNNL_ARG_SRC,
    DNNL_ARG_DST,
    DNNL_ARG_SCALE,
    DNNL_ARG_SHIFT,
    DNNL_ARG_MEAN,
    DNNL_ARG_VARIANCE,
    DNNL_ARG_DIFF_DST,
    DNNL_ARG_DIFF_SRC,
    DNNL_ARG_DIFF_SCALE,
    DNNL_ARG_DIFF_SHIFT
  };

  private static final dnnl_primitive_attr NO_ATTRIBUTES = null;

  private final Workload workload;
  private final Cell cell;
  private final float eps = (float) Workload.EPS;
  private final Deque<Runnable> frees = new ArrayDeque<>();
  private final dnnl_engine engine = new dnnl_engine();
  private final dnnl_stream stream = new dnnl_stream();

  /** By argument, floats or, of data in BF16, shorts; forward and backward share what both have. */
  private final Map<Integer, Pointer> buffers = new HashMap<>();

  private final Step step;
  private final float[] mean;
  private final float[] variance;
  private final float[] runningMean;
  private final float[] runningVariance;

  /** A primitive, ready to run. */
  private record Step(dnnl_primitive primitive, int count, dnnl_exec_arg_t arguments) {}

  OneDnnSession(Workload workload) {
    this.workload = workload;
    cell = workload.cell();
    boolean given = given();
    check(dnnl_engine_create(engine, dnnl_cpu, 0));
    frees.push(() -> dnnl_engine_destroy(engine));
    check(dnnl_stream_create(stream, engine, dnnl_stream_default_flags));
    frees.push(() -> dnnl_stream_destroy(stream));
    fill(DNNL_ARG_SRC, workload.x());
    fill(DNNL_ARG_DIFF_DST, workload.dy());
    fill(DNNL_ARG_SCALE, workload.weight());
    fill(DNNL_ARG_SHIFT, workload.bias());
    fill(DNNL_ARG_MEAN, given ? workload.runningMean() : null);
    fill(DNNL_ARG_VARIANCE, given ? workload.runningVariance() : null);
    boolean running = workload.runningMean() != null && cell.direction() == Direction.TRAINING;
    mean = running ? new float[cell.channels()] : null;
    variance = running ? new float[cell.channels()] : null;
    runningMean = running ? workload.runningMean().clone() : null;
    runningVariance = running ? workload.runningVariance().clone() : null;
    dnnl_primitive_desc forward = forward();
    if (cell.direction() == Direction.BACKWARD) {
      execute(step(forward, false));
      step = step(backward(forward), true);
    } else {
      step = step(forward, false);
    }
  }

  private boolean given() {
    return cell.operation() == Operation.BATCH && cell.direction() == Direction.INFERENCE;
  }

  private static void check(int status) {
    if (status != dnnl_success) {
      throw new IllegalStateException("oneDNN's status is " + status);
    }
  }

  private void fill(int argument, float[] values) {
    if (values != null) {
      Pointer memory = buffer(argument, values.length);
      if (memory instanceof ShortPointer shorts) {
        for (int i = 0; i < values.length; i++) {
          shorts.put(i, (short) (Float.floatToRawIntBits(values[i]) >>> Short.SIZE));
        }
      } else {
        floats(argument).put(values);
      }
    }
  }

  private Pointer buffer(int argument, long elements) {
    return buffers.computeIfAbsent(
        argument,
        key -> {
          Pointer memory =
              type(key) == DataType.F32 ? new FloatPointer(elements) : new ShortPointer(elements);
          frees.push(memory::deallocate);
          return memory;
        });
  }

  private FloatPointer floats(int argument) {
    return (FloatPointer) buffers.get(argument);
  }

  /** Statistics and parameters are floats. */
  private DataType type(int argument) {
    return switch (argument) {
      case DNNL_ARG_SRC, DNNL_ARG_DST, DNNL_ARG_DIFF_SRC, DNNL_ARG_DIFF_DST -> cell.type();
      default -> DataType.F32;
    };
  }

  private dnnl_primitive_desc forward() {
    dnnl_primitive_desc made = new dnnl_primitive_desc();
    int kind =
        cell.direction() == Direction.INFERENCE ? dnnl_forward_inference : dnnl_forward_training;
    dnnl_memory_desc data = data();
    check(
        switch (cell.operation()) {
          case BATCH ->
              dnnl_batch_normalization_forward_primitive_desc_create(
                  made, engine, kind, data, data, eps, flags(), NO_ATTRIBUTES);
          case GROUP, INSTANCE ->
              dnnl_group_normalization_forward_primitive_desc_create(
                  made, engine, kind, data, data, cell.groups(), eps, flags(), NO_ATTRIBUTES);
          case LAYER, RMS ->
              dnnl_layer_normalization_forward_primitive_desc_create(
                  made, engine, kind, data, data, statistics(), eps, flags(), NO_ATTRIBUTES);
        });
    frees.push(() -> dnnl_primitive_desc_destroy(made));
    return made;
  }

  private dnnl_primitive_desc backward(dnnl_primitive_desc hint) {
    dnnl_primitive_desc made = new dnnl_primitive_desc();
    dnnl_memory_desc data = data();
    int kind = dnnl_backward;
    int flags = flags();
    check(
        switch (cell.operation()) {
          case BATCH ->
              dnnl_batch_normalization_backward_primitive_desc_create(
                  made, engine, kind, data, data, data, eps, flags, hint, NO_ATTRIBUTES);
          case GROUP, INSTANCE ->
              dnnl_group_normalization_backward_primitive_desc_create(
                  made,
                  engine,
                  kind,
                  data,
                  data,
                  data,
                  cell.groups(),
                  eps,
                  flags,
                  hint,
                  NO_ATTRIBUTES);
          case LAYER, RMS ->
              dnnl_layer_normalization_backward_primitive_desc_create(
                  made,
                  engine,
                  kind,
                  data,
                  data,
                  data,
                  statistics(),
                  eps,
                  flags,
                  hint,
                  NO_ATTRIBUTES);
        });
    frees.push(() -> dnnl_primitive_desc_destroy(made));
    return made;
  }

  private int flags() {
    return dnnl_use_scale
        | (workload.bias() == null ? 0 : dnnl_use_shift)
        | (given() ? dnnl_use_global_stats : 0)
        | (cell.operation() == Operation.RMS ? dnnl_rms_norm : 0);
  }

  /** N, C, spatial, 1, which oneDNN's fast kernels recognize; rows as they are. */
  private dnnl_memory_desc data() {
    long n = cell.batch();
    long c = cell.channels();
    long s = cell.spatial();
    int type = cell.isF32() ? dnnl_f32 : dnnl_bf16;
    if (cell.isRows()) {
      return describe(type, new long[] {n, c}, new long[] {c, 1});
    }
    return describe(
        type,
        new long[] {n, c, s, 1},
        cell.channelsLast() ? new long[] {c * s, 1, c, c} : new long[] {c * s, s, 1, 1});
  }

  private dnnl_memory_desc statistics() {
    return describe(dnnl_f32, new long[] {cell.batch()}, new long[] {1});
  }

  private dnnl_memory_desc describe(int type, long[] extents, long[] strides) {
    dnnl_memory_desc made = new dnnl_memory_desc();
    check(dnnl_memory_desc_create_with_strides(made, extents.length, extents, type, strides));
    frees.push(() -> dnnl_memory_desc_destroy(made));
    return made;
  }

  private Step step(dnnl_primitive_desc description, boolean isBackward) {
    dnnl_primitive primitive = new dnnl_primitive();
    check(dnnl_primitive_create(primitive, description));
    frees.push(() -> dnnl_primitive_destroy(primitive));
    dnnl_exec_arg_t arguments = new dnnl_exec_arg_t(ARGUMENTS.length);
    int count = 0;
    for (int argument : ARGUMENTS) {
      dnnl_memory_desc wanted =
          dnnl_primitive_desc_query_md(description, dnnl_query_exec_arg_md, argument);
      // Backward describes a shift, and refuses one.
      boolean shiftless = argument == DNNL_ARG_SHIFT && isBackward;
      long bytes = wanted == null || shiftless ? 0 : dnnl_memory_desc_get_size(wanted);
      if (bytes > 0) {
        dnnl_memory memory = new dnnl_memory();
        check(
            dnnl_memory_create(
                memory, wanted, engine, buffer(argument, bytes / type(argument).bytes())));
        frees.push(() -> dnnl_memory_destroy(memory));
        arguments.getPointer(count++).arg(argument).memory(memory);
      }
    }
    return new Step(primitive, count, arguments);
  }

  private void execute(Step todo) {
    check(dnnl_primitive_execute(todo.primitive, stream, todo.count, todo.arguments));
  }

  @Override
  public void call() {
    execute(step);
    if (runningMean != null) {
      updateRunning();
    }
  }

  private void updateRunning() {
    floats(DNNL_ARG_MEAN).get(mean);
    floats(DNNL_ARG_VARIANCE).get(variance);
    float momentum = (float) Workload.MOMENTUM;
    float values = (float) cell.batch() * cell.spatial();
    for (int c = 0; c < mean.length; c++) {
      runningMean[c] += momentum * (mean[c] - runningMean[c]);
      runningVariance[c] += momentum * (variance[c] * (values / (values - 1)) - runningVariance[c]);
    }
  }

  @Override
  public Results results() {
    if (cell.direction() == Direction.BACKWARD) {
      return Results.gradients(
          values(DNNL_ARG_DIFF_SRC), values(DNNL_ARG_DIFF_SCALE), values(DNNL_ARG_DIFF_SHIFT));
    }
    return runningMean == null
        ? Results.output(values(DNNL_ARG_DST))
        : Results.training(values(DNNL_ARG_DST), runningMean, runningVariance);
  }

  private float[] values(int argument) {
    Pointer memory = buffers.get(argument);
    if (memory == null) {
      return null;
    }
    float[] values = new float[(int) memory.capacity()];
    if (memory instanceof ShortPointer shorts) {
      for (int i = 0; i < values.length; i++) {
        values[i] = Float.intBitsToFloat(shorts.get(i) << Short.SIZE);
      }
    } else {
      floats(argument).get(values);
    }
    return values;
  }

  @Override
  public void close() {
    frees.forEach(Runnable::run);
  }
}
