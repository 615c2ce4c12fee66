package io.nativenorm;

/** Which estimate of the variance goes into the running variance. */
public enum RunningVariance {
  /** Sum of squares over n - 1: PyTorch's rule, and the default. */
  UNBIASED,
  /** Sum of squares over n: the rule of ONNX and Keras. */
  POPULATION
}
