package io.nativenorm.engine.memory;

import java.nio.Buffer;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import org.bytedeco.javacpp.Pointer;

/**
 * What keeps memory there: a buffer, a pointer or an arena's segment, of which each tells in its
 * own way whether the memory has ended, or any other object, which does not.
 */
final class Keepers {
  private Keepers() {}

  /** Throws if the memory is gone: see {@link Memory#requireThere}. */
  static void requireThere(Object keeper, Object tensor) {
    if (keeper instanceof Buffer lent) {
      readFirst(lent);
    } else if (keeper instanceof ArenaMemory arena) {
      readFirst(arena.first());
    } else if (keeper instanceof Pointer pointer && pointer.isNull()) {
      throw new IllegalStateException("the memory under the tensor " + tensor + " was freed");
    }
  }

  /** Of a buffer that is neither of these two nobody can end the memory. */
  private static void readFirst(Buffer lent) {
    if (lent.capacity() == 0) {
      return;
    }
    if (lent instanceof FloatBuffer floats) {
      floats.get(0);
    } else if (lent instanceof ByteBuffer bytes) {
      bytes.get(0);
    }
  }

  /** Whether nobody may write to the memory. */
  static boolean isReadOnly(Object keeper) {
    return (keeper instanceof Buffer lent && lent.isReadOnly())
        || (keeper instanceof ArenaMemory arena && arena.first().isReadOnly());
  }

  /** Floats of a keeper that is a buffer itself, which keeps them; else null. */
  static FloatBuffer part(Object keeper, long address, int count) {
    if (keeper instanceof FloatBuffer lent) {
      return lent.slice((int) (address - FloatsAt.addressOf(lent)) / Float.BYTES, count);
    }
    if (keeper instanceof ByteBuffer lent) {
      int from = (int) (address - FloatsAt.addressOf(lent));
      return lent.slice(from, count * Float.BYTES).order(ByteOrder.nativeOrder()).asFloatBuffer();
    }
    return null;
  }
}
