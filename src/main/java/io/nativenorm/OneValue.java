package io.nativenorm;

/** What training does with a single value in each channel, or of an InstanceNorm in each unit. */
public enum OneValue {
  /** It is an error, as in PyTorch: such a value has no variance. The default. */
  REFUSE,
  /**
   * The output is the bias, as in ONNX. The running mean takes the value in and the batch is
   * counted, the running variance stays.
   */
  PASS
}
