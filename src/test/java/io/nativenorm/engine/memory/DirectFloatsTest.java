package io.nativenorm.engine.memory;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import io.nativenorm.RmsNorm;
import io.nativenorm.TestArena;
import java.nio.FloatBuffer;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.api.Test;

/** Weights in memory that may end during a call are not given to native code. */
class DirectFloatsTest {
  private static void requireAddress(boolean isGiven, TestArena arena) throws Exception {
    FloatBuffer weight = arena.floats(4).put(0, 2).put(1, 2).put(2, 2).put(3, 2);
    long address = DirectFloats.addressOf("weight", weight, 1, 3);
    if (isGiven) {
      assertNotEquals(0, address);
    } else {
      assertEquals(0, address);
    }
    float[] x = {1, 1, 1, 1};
    RmsNorm.normalize(x, 0, x, 0, 1, 4, weight, 0, 0);
    assertEquals(2, x[3]);
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
      float[] x = {1, 1, 1, 1};
      assertThrows(
          IllegalStateException.class, () -> RmsNorm.normalize(x, 0, x, 0, 1, 4, weight, 0, 0));
    }
  }
}
