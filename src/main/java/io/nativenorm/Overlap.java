package io.nativenorm;

import io.nativenorm.engine.memory.Memory;

/** Whether operands share memory. */
final class Overlap {
  private Overlap() {}

  /** Whether they share a byte. */
  static boolean isThere(Memory a, Memory b) {
    return a.bytes() > 0
        && b.bytes() > 0
        && a.address() < b.address() + b.bytes()
        && b.address() < a.address() + a.bytes();
  }

  /** Whether they share some bytes but are not the same. */
  static boolean isPartial(Memory a, Memory b) {
    return isThere(a, b) && (a.address() != b.address() || a.bytes() != b.bytes());
  }
}
