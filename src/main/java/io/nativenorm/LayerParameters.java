package io.nativenorm;

import java.util.LinkedHashMap;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * What training changes in a layer. Each part is null where the layer has none; the layer's lock
 * orders reads and writes.
 */
record LayerParameters(
    @Nullable Parameter weight, @Nullable Parameter bias, @Nullable RunningStatistics running) {

  static LayerParameters of(
      LayerBuilder<?> options, @Nullable RunningStatistics running, long... parameterShape) {
    LayerParameters made = new LayerParameters(null, null, running);
    try {
      made = new LayerParameters(weightOf(options, parameterShape), null, running);
      return new LayerParameters(made.weight, biasOf(options, parameterShape), running);
    } catch (RuntimeException | Error e) {
      made.close();
      throw e;
    }
  }

  private static @Nullable Parameter weightOf(LayerBuilder<?> options, long[] shape) {
    if (!options.hasWeight()) {
      return null;
    }
    Tensor shared = options.sharedWeight();
    return shared == null
        ? Parameter.filled((float) (1 - options.unitOffset()), shape)
        : Parameter.shared(options.name(), "weight", shared, shape);
  }

  private static @Nullable Parameter biasOf(LayerBuilder<?> options, long[] shape) {
    if (!options.hasBias()) {
      return null;
    }
    Tensor shared = options.sharedBias();
    return shared == null
        ? Parameter.filled(0, shape)
        : Parameter.shared(options.name(), "bias", shared, shape);
  }

  /** What throws if shared memory is gone; null if none is shared. */
  @Nullable Runnable check() {
    boolean shares = (weight != null && weight.isShared()) || (bias != null && bias.isShared());
    return shares ? () -> named().values().forEach(Parameter::requireThere) : null;
  }

  /** All of them under PyTorch's names. */
  Map<String, Parameter> named() {
    Map<String, Parameter> named = new LinkedHashMap<>();
    if (weight != null) {
      named.put("weight", weight);
    }
    if (bias != null) {
      named.put("bias", bias);
    }
    if (running != null) {
      running.putInto(named);
    }
    return named;
  }

  Map<String, Tensor> handles() {
    Map<String, Tensor> handles = new LinkedHashMap<>();
    named().forEach((name, parameter) -> handles.put(name, Parameter.handle(parameter)));
    return handles;
  }

  /** Checks that what is written lies on none of them; the count is no float. */
  void requireApart(Object layer, String name, Tensor written) {
    requireApart(layer, name, written, "weight", weight);
    requireApart(layer, name, written, "bias", bias);
    if (running != null) {
      requireApart(layer, name, written, "running mean", running.mean());
      requireApart(layer, name, written, "running variance", running.variance());
    }
  }

  private static void requireApart(
      Object layer, String name, Tensor written, String what, @Nullable Parameter parameter) {
    if (parameter != null && Overlap.isThere(written, Parameter.memory(parameter))) {
      throw new IllegalArgumentException(
          layer + ": " + name + " must be apart from the " + what + ", but overlaps it");
    }
  }

  void close() {
    named().values().forEach(Parameter::close);
  }
}
