package io.nativenorm.engine.onednn;

import static org.bytedeco.dnnl.global.dnnl.dnnl_backward;
import static org.bytedeco.dnnl.global.dnnl.dnnl_backward_data;
import static org.bytedeco.dnnl.global.dnnl.dnnl_batch_normalization_backward_primitive_desc_create;
import static org.bytedeco.dnnl.global.dnnl.dnnl_batch_normalization_forward_primitive_desc_create;
import static org.bytedeco.dnnl.global.dnnl.dnnl_forward_inference;
import static org.bytedeco.dnnl.global.dnnl.dnnl_forward_training;
import static org.bytedeco.dnnl.global.dnnl.dnnl_group_normalization_backward_primitive_desc_create;
import static org.bytedeco.dnnl.global.dnnl.dnnl_group_normalization_forward_primitive_desc_create;
import static org.bytedeco.dnnl.global.dnnl.dnnl_layer_normalization_backward_primitive_desc_create;
import static org.bytedeco.dnnl.global.dnnl.dnnl_layer_normalization_forward_primitive_desc_create;
import static org.bytedeco.dnnl.global.dnnl.dnnl_primitive_attr_create;
import static org.bytedeco.dnnl.global.dnnl.dnnl_primitive_attr_destroy;
import static org.bytedeco.dnnl.global.dnnl.dnnl_primitive_attr_set_scratchpad_mode;
import static org.bytedeco.dnnl.global.dnnl.dnnl_primitive_desc_destroy;
import static org.bytedeco.dnnl.global.dnnl.dnnl_primitive_desc_query;
import static org.bytedeco.dnnl.global.dnnl.dnnl_query_impl_info_str;
import static org.bytedeco.dnnl.global.dnnl.dnnl_rms_norm;
import static org.bytedeco.dnnl.global.dnnl.dnnl_scratchpad_mode_user;
import static org.bytedeco.dnnl.global.dnnl.dnnl_success;
import static org.bytedeco.dnnl.global.dnnl.dnnl_unimplemented;
import static org.bytedeco.dnnl.global.dnnl.dnnl_use_global_stats;
import static org.bytedeco.dnnl.global.dnnl.dnnl_use_scale;
import static org.bytedeco.dnnl.global.dnnl.dnnl_use_shift;

import io.nativenorm.Layout;
import io.nativenorm.engine.Operation;
import io.nativenorm.engine.Problem;
import io.nativenorm.engine.StatisticsSource;
import org.bytedeco.dnnl.dnnl_memory_desc;
import org.bytedeco.dnnl.dnnl_primitive_attr;
import org.bytedeco.dnnl.dnnl_primitive_desc;
import org.bytedeco.javacpp.BytePointer;
import org.bytedeco.javacpp.PointerPointer;

/** A problem in oneDNN's terms, and the implementation oneDNN picked for it. */
final class PrimitiveDescription implements AutoCloseable {
  private final Problem problem;
  private final int status;
  private final dnnl_primitive_desc handle;

  private PrimitiveDescription(Problem problem, int status, dnnl_primitive_desc handle) {
    this.problem = problem;
    this.status = status;
    this.handle = handle;
  }

  /** One way to ask oneDNN for a description. */
  private interface Creation {
    int create(dnnl_primitive_desc handle, dnnl_primitive_attr attributes);
  }

  /** Normalization; computed statistics are handed out, given ones taken in. */
  static PrimitiveDescription forward(Problem problem) {
    return create(problem, (handle, attributes) -> createForward(problem, handle, attributes));
  }

  static PrimitiveDescription backward(Problem problem) {
    return create(
        problem,
        (handle, attributes) -> {
          // oneDNN derives a backward description from the forward one of the same flags.
          try (PrimitiveDescription hint = forward(problem)) {
            return hint.status == dnnl_success
                ? createBackward(problem, handle, hint.handle, attributes)
                : hint.status;
          }
        });
  }

  private static PrimitiveDescription create(Problem problem, Creation creation) {
    dnnl_primitive_attr attributes = new dnnl_primitive_attr();
    Dnnl.check(dnnl_primitive_attr_create(attributes), "creating attributes for", problem);
    try {
      // The scratchpad is ours, one per execution: one inside the primitive would tie it to one
      // thread.
      Dnnl.check(
          dnnl_primitive_attr_set_scratchpad_mode(attributes, dnnl_scratchpad_mode_user),
          "setting the scratchpad mode for",
          problem);
      dnnl_primitive_desc handle = new dnnl_primitive_desc();
      return new PrimitiveDescription(problem, creation.create(handle, attributes), handle);
    } finally {
      dnnl_primitive_attr_destroy(attributes);
    }
  }

  private static int createForward(
      Problem problem, dnnl_primitive_desc handle, dnnl_primitive_attr attributes) {
    int kind =
        problem.norm().statistics() == StatisticsSource.GIVEN
            ? dnnl_forward_inference
            : dnnl_forward_training;
    dnnl_memory_desc data = dataOf(problem);
    float eps = (float) problem.norm().eps();
    int flags = flags(problem);
    try {
      return switch (problem.norm().operation()) {
        case BATCH ->
            dnnl_batch_normalization_forward_primitive_desc_create(
                handle, Dnnl.CPU, kind, data, data, eps, flags, attributes);
        case GROUP ->
            dnnl_group_normalization_forward_primitive_desc_create(
                handle,
                Dnnl.CPU,
                kind,
                data,
                data,
                problem.shape().groups(),
                eps,
                flags,
                attributes);
        case LAYER, RMS -> {
          dnnl_memory_desc statistics = rowStatisticsOf(problem);
          try {
            yield dnnl_layer_normalization_forward_primitive_desc_create(
                handle, Dnnl.CPU, kind, data, data, statistics, eps, flags, attributes);
          } finally {
            Dnnl.destroy(statistics);
          }
        }
      };
    } finally {
      Dnnl.destroy(data);
    }
  }

  private static int createBackward(
      Problem problem,
      dnnl_primitive_desc handle,
      dnnl_primitive_desc hint,
      dnnl_primitive_attr attributes) {
    // oneDNN's backward_data does not go with scale and shift; backward without them is it.
    int kind =
        problem.affine().weight() || problem.affine().bias() ? dnnl_backward : dnnl_backward_data;
    dnnl_memory_desc data = dataOf(problem);
    float eps = (float) problem.norm().eps();
    int flags = flags(problem);
    try {
      return switch (problem.norm().operation()) {
        case BATCH ->
            dnnl_batch_normalization_backward_primitive_desc_create(
                handle, Dnnl.CPU, kind, data, data, data, eps, flags, hint, attributes);
        case GROUP ->
            dnnl_group_normalization_backward_primitive_desc_create(
                handle,
                Dnnl.CPU,
                kind,
                data,
                data,
                data,
                problem.shape().groups(),
                eps,
                flags,
                hint,
                attributes);
        case LAYER, RMS -> {
          dnnl_memory_desc statistics = rowStatisticsOf(problem);
          try {
            yield dnnl_layer_normalization_backward_primitive_desc_create(
                handle, Dnnl.CPU, kind, data, data, data, statistics, eps, flags, hint, attributes);
          } finally {
            Dnnl.destroy(statistics);
          }
        }
      };
    } finally {
      Dnnl.destroy(data);
    }
  }

  private static int flags(Problem problem) {
    return (problem.affine().weight() ? dnnl_use_scale : 0)
        | (problem.affine().bias() ? dnnl_use_shift : 0)
        | (problem.norm().statistics() == StatisticsSource.GIVEN ? dnnl_use_global_stats : 0)
        | (problem.norm().operation() == Operation.RMS ? dnnl_rms_norm : 0);
  }

  /** N x C x spatial x 1 in the problem's layout, or rows x columns: what the JITs recognize. */
  private static dnnl_memory_desc dataOf(Problem problem) {
    long n = problem.shape().batch();
    long c = problem.shape().channels();
    long s = problem.shape().spatial();
    return switch (problem.norm().operation()) {
      case LAYER, RMS -> Dnnl.describe(new long[] {n, c}, new long[] {c, 1});
      case BATCH, GROUP ->
          Dnnl.describe(
              new long[] {n, c, s, 1},
              problem.shape().layout() == Layout.CHANNELS_FIRST
                  ? new long[] {c * s, s, 1, 1}
                  : new long[] {c * s, 1, c, c});
    };
  }

  private static dnnl_memory_desc rowStatisticsOf(Problem problem) {
    return Dnnl.describe(new long[] {problem.shape().batch()}, new long[] {1});
  }

  /** Why oneDNN cannot do this, or null if it can; throws for any other failure. */
  String refusal() {
    if (status == dnnl_unimplemented) {
      return "oneDNN has no implementation (status 3, unimplemented)";
    }
    Dnnl.check(status, "describing", problem);
    return null;
  }

  /** The primitive description; valid until this is closed. */
  dnnl_primitive_desc handle() {
    Dnnl.check(status, "describing", problem);
    return handle;
  }

  Problem problem() {
    return problem;
  }

  /** oneDNN's name of the implementation, such as {@code jit:uni}. */
  String implementation() {
    try (PointerPointer<BytePointer> name = new PointerPointer<>(1)) {
      Dnnl.check(
          dnnl_primitive_desc_query(handle(), dnnl_query_impl_info_str, 0, name),
          "naming the implementation of",
          problem);
      return name.get(BytePointer.class).getString();
    }
  }

  @Override
  public void close() {
    if (status == dnnl_success) {
      dnnl_primitive_desc_destroy(handle);
    }
  }
}
