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
    return new LayerParameters(
        options.hasWeight()
            ? Parameter.filled((float) (1 - options.unitOffset()), parameterShape)
            : null,
        options.hasBias() ? Parameter.filled(0, parameterShape) : null,
        running);
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

  void close() {
    named().values().forEach(Parameter::close);
  }
}
