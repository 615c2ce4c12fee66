package io.nativenorm.bench;

import java.util.LinkedHashMap;
import java.util.Map;

/** What a call computed, by name, in the memory order of the cell's layout. */
public record Results(Map<String, float[]> values) {
  public static final String OUTPUT = "output";
  public static final String RUNNING_MEAN = "running mean";

  /** By PyTorch's rule: from the variance with n - 1 in the denominator. */
  public static final String RUNNING_VARIANCE = "running variance";

  public static final String GRADIENT_INPUT = "gradient of input";
  public static final String GRADIENT_WEIGHT = "gradient of weight";
  public static final String GRADIENT_BIAS = "gradient of bias";

  /** Of inference, or of training without running statistics. */
  public static Results output(float[] output) {
    return new Results(Map.of(OUTPUT, output));
  }

  /** Of BatchNorm's training. */
  public static Results training(float[] output, float[] runningMean, float[] runningVariance) {
    Map<String, float[]> values = new LinkedHashMap<>();
    values.put(OUTPUT, output);
    values.put(RUNNING_MEAN, runningMean);
    values.put(RUNNING_VARIANCE, runningVariance);
    return new Results(values);
  }

  /** Of backward; no bias for RMS normalization: null. */
  public static Results gradients(float[] input, float[] weight, float[] bias) {
    Map<String, float[]> values = new LinkedHashMap<>();
    values.put(GRADIENT_INPUT, input);
    values.put(GRADIENT_WEIGHT, weight);
    if (bias != null) {
      values.put(GRADIENT_BIAS, bias);
    }
    return new Results(values);
  }

  /** Of a training step over a stack; the parameters are those of its last layer. */
  public static Results step(float[] output, float[] input, float[] weight, float[] bias) {
    Map<String, float[]> values = new LinkedHashMap<>(gradients(input, weight, bias).values());
    values.put(OUTPUT, output);
    return new Results(values);
  }
}
