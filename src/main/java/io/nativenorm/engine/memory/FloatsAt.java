package io.nativenorm.engine.memory;

import java.nio.Buffer;
import org.bytedeco.javacpp.FloatPointer;
import org.bytedeco.javacpp.Pointer;

/**
 * Memory as JavaCPP takes it, for one call: floats at an address, with position 0 and a known
 * number. JavaCPP's own ways from one pointer or buffer to another keep the position, unscaled
 * where the type differs: {@code new FloatPointer} of a FloatBuffer at position 7 reads 7 bytes,
 * not 7 floats, from its start (1.5.13).
 */
final class FloatsAt extends FloatPointer {
  /** Keeps the memory from being collected while this is reachable. */
  @SuppressWarnings("unused") // reachability is its use
  private final Memory memory;

  FloatsAt(Memory memory) {
    this(memory.address(), memory.floats(), memory);
  }

  FloatsAt(long address, long count, Memory memory) {
    super((Pointer) null);
    this.address = address;
    this.limit = count;
    this.capacity = count;
    this.memory = memory;
  }

  /** The address of a direct buffer's first element. */
  static long addressOf(Buffer direct) {
    return getDirectBufferAddress(direct);
  }
}
