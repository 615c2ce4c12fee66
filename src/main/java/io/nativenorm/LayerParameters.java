package io.nativenorm;

import java.util.LinkedHashMap;
import java.util.Map;

/**
 * What training changes in a layer. Each part is null where the layer has none; the layer's lock
 * orders reads and writes.
 */
record LayerParameters(Parameter weight, Parameter bias, RunningStatistics running) {

  static LayerParameters of(
      LayerBuilder<?> options, RunningStatistics running, long... parameterShape) {
    return new LayerParameters(
        options.hasWeight() ? new Parameter(1, parameterShape) : null,
        options.hasBias() ? new Parameter(0, parameterShape) : null,
        running);
  }

  /** All of them under PyTorch's names. */
  private Map<String, Parameter> named() {
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

  /** Throws unless {@link #load} can take a state. */
  void requireFit(String layer, Map<String, Tensor> state) {
    StateCheck.requireFit(layer, named(), state);
  }

  /** Copies a state that fits; reads all of it before it writes any. */
  void load(Map<String, Tensor> state) {
    Map<String, Parameter> named = named();
    Map<Parameter, float[]> copies = new LinkedHashMap<>();
    state.forEach((name, values) -> copies.put(named.get(name), values.inOrder()));
    copies.forEach(Parameter::set);
  }

  void close() {
    named().values().forEach(Parameter::close);
  }
}
