package io.nativenorm;

import io.nativenorm.engine.memory.Memory;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

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

  /** Whether they share a byte of an element: what lies between pieces is not theirs. */
  static boolean isThere(TensorElements a, TensorElements b) {
    return isThere(a, b.span(), b.pieces());
  }

  /** The same beside memory in one piece. */
  static boolean isThere(TensorElements a, Memory b) {
    return isThere(a, b, null);
  }

  private static boolean isThere(TensorElements a, Memory b, @Nullable Pieces bPieces) {
    return isThere(a.span(), b)
        && ((a.pieces() == null && bPieces == null) || meet(a.span(), a.pieces(), b, bPieces));
  }

  /** Whether they share some bytes of elements but are not the same. */
  static boolean isPartial(TensorElements a, TensorElements b) {
    return isThere(a, b) && !isSame(a, b);
  }

  /** Whether they have the same elements, byte by byte. */
  static boolean isSame(TensorElements a, TensorElements b) {
    return a.span().address() == b.span().address()
        && a.span().bytes() == b.span().bytes()
        && Objects.equals(a.pieces(), b.pieces());
  }

  /** Goes through the pieces of both in the order in which they lie. */
  private static boolean meet(
      Memory a, @Nullable Pieces aPieces, Memory b, @Nullable Pieces bPieces) {
    long aStep = step(a, aPieces);
    long aLength = length(a, aPieces);
    long bStep = step(b, bPieces);
    long bLength = length(b, bPieces);
    long aEnd = a.address() + a.bytes();
    long bEnd = b.address() + b.bytes();
    if (aStep == bStep) {
      long apart = Math.floorMod(b.address() - a.address(), aStep);
      if (apart >= aLength && apart + bLength <= aStep) {
        return false; // columns beside each other, however many rows there are
      }
    }
    for (long at = a.address(), other = b.address(); at < aEnd && other < bEnd; ) {
      if (at < other + bLength && other < at + aLength) {
        return true;
      }
      if (at < other) {
        at += aStep;
      } else {
        other += bStep;
      }
    }
    return false;
  }

  private static long length(Memory memory, @Nullable Pieces pieces) {
    return pieces == null ? memory.bytes() : pieces.length() * memory.type().bytes();
  }

  private static long step(Memory memory, @Nullable Pieces pieces) {
    return pieces == null ? memory.bytes() : pieces.stride() * memory.type().bytes();
  }
}
