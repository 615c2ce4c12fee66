package io.nativenorm;

/** Which engine runs a layer. A named engine that cannot run a problem throws; it never yields. */
public enum Backend {
  /** The fastest engine that accepts the problem. */
  AUTO,
  /** NativeNorm's own SIMD kernels. */
  FUSED,
  /** oneDNN's primitives. */
  ONEDNN,
  /** Plain Java, on every platform. */
  JAVA
}
