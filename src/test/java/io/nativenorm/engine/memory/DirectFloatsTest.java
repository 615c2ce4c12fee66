package io.nativenorm.engine.memory;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import io.nativenorm.RmsNorm;
import io.nativenorm.TestArena;
import java.nio.FloatBuffer;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.api.Test;

/** Weights in memory that may end during a call are not given to native code. */
class DirectFloatsTest {
  private static void requireAddress(boolean isGiven, TestArena arena) throws Exception {
    FloatBuffer weight = arena.floats(4).put(0, 2).put(1, 2).put(2, 2).put(3, 2);
    long first = DirectFloats.addressOf("weight", weight, 0, 4);
    long second = DirectFloats.addressOf("weight", weight, 1, 3);
    if (isGiven) {
      assertNotEquals(0, first);
      assertEquals(first + Float.BYTES, second);
    } else {
      assertEquals(0, first);
      assertEquals(0, second);
    }
    float[] x = {1, 1, 1, 1};
    RmsNorm.normalize(x, 0, x, 0, 1, 3, weight.put(1, 3), 1, 0);
    assertArrayEquals(new float[] {3, 2, 2, 1}, x);
  }

  @Test
  void memoryThatLastsIsGivenByItsAddress() throws Exception {
    requireAddress(true, TestArena.of("Auto"));
    requireAddress(true, TestArena.of("Global"));
  }

  @Test
  void memoryOfAnArenaIsCopied() throws Exception {
    Assumptions.assumeTrue(TestArena.ARE_THERE, "there are no arenas before JDK 22");
    for (String kind : new String[] {"Shared", "Confined"}) {
      TestArena arena = TestArena.of(kind);
      FloatBuffer weight = arena.floats(4);
      requireAddress(false, arena);
      arena.close();
      assertThrows(
          IllegalStateException.class, () -> DirectFloats.addressOf("weight", weight, 0, 4));
      float[] x = {1, 1, 1, 1};
      assertThrows(
          IllegalStateException.class, () -> RmsNorm.normalize(x, 0, x, 0, 1, 4, weight, 0, 0));
    }
  }

  /** Lasting buffers are remembered by hashes, of which others have the same. */
  @Test
  void oneBufferIsNotTakenForAnother() throws Exception {
    Assumptions.assumeTrue(TestArena.ARE_THERE, "there are no arenas before JDK 22");
    FloatBuffer lasting = TestArena.of("Auto").floats(4);
    List<FloatBuffer> many = new ArrayList<>();
    for (int i = 0; i < 4096; i++) {
      many.add(lasting.duplicate());
      assertNotEquals(0, DirectFloats.addressOf("weight", many.get(i), 0, 4));
    }
    try (TestArena arena = TestArena.of("Shared")) {
      FloatBuffer ending = arena.floats(4);
      for (int i = 0; i < 64; i++) {
        assertEquals(0, DirectFloats.addressOf("weight", ending.duplicate(), 0, 4));
      }
    }
    assertEquals(4096, many.size()); // they are reachable until here
  }
}
