package io.nativenorm.engine.memory;

import java.lang.ref.Cleaner;
import java.lang.ref.Reference;
import java.nio.ByteBuffer;
import java.nio.FloatBuffer;

/** Buffers on native memory that others keep as long as they like. */
final class LentBuffers {
  /** Tells when they are gone; its thread begins with the first. */
  private static final Cleaner CLEANER = Cleaner.create();

  private LentBuffers() {}

  /** The first floats of a memory, which is released when no buffer on them is reachable. */
  static FloatBuffer of(Memory memory, int count, Runnable release) {
    // All that is made of it refers to this first one: JDK 17 to 25 keep it as their attachment.
    ByteBuffer first = new FloatsAt(memory).asByteBuffer();
    CLEANER.register(first, () -> end(memory, release));
    return first.asFloatBuffer().slice(0, count);
  }

  /** Until here the memory has kept its owner. */
  private static void end(Memory memory, Runnable release) {
    Reference.reachabilityFence(memory);
    release.run();
  }
}
