package io.nativenorm;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import io.nativenorm.engine.memory.MemoryPool;
import java.util.Arrays;
import java.util.HashSet;
import java.util.Set;
import org.bytedeco.javacpp.Pointer;
import org.junit.jupiter.api.Test;

/** Tensors take their memory from the pool and give it back. */
class PooledTensorTest {
  @Test
  void trainingAgainAndAgainAllocatesNothingNative() {
    try (BatchNorm layer = BatchNorm.of(70);
        Tensor x = Tensor.zeros(3, 70, 11, 13);
        Tensor dy = Tensor.zeros(3, 70, 11, 13)) {
      MemoryPool.giveBack(Long.MAX_VALUE); // else what is left of other tests is trimmed meanwhile
      trainOnce(layer, x, dy);
      long before = Pointer.totalCount();
      for (int i = 0; i < 100; i++) {
        trainOnce(layer, x, dy);
      }
      assertEquals(before, Pointer.totalCount());
    }
  }

  private static void trainOnce(BatchNorm layer, Tensor x, Tensor dy) {
    try (Pass pass = layer.forwardTraining(x);
        Gradients gradients = pass.backward(dy)) {
      assertEquals(70, gradients.bias().size());
    }
  }

  @Test
  void aClosedTensorStaysClosedWhenAnotherHasItsMemory() {
    Tensor first = Tensor.of(new float[] {1, 2, 3}, 3);
    first.close();
    try (Tensor second = Tensor.of(new float[] {4, 5, 6}, 3)) {
      assertThrows(IllegalStateException.class, first::toArray);
      assertThrows(IllegalStateException.class, () -> first.copyFrom(new float[3]));
      first.close(); // must not give the memory back a second time
      try (Tensor third = Tensor.of(new float[] {7, 8, 9}, 3)) {
        assertArrayEquals(new float[] {4, 5, 6}, second.toArray());
        assertArrayEquals(new float[] {7, 8, 9}, third.toArray());
      }
    }
  }

  @Test
  void memoryIsOnlyGivenBackWithTheLastHandle() {
    Tensor flat = Tensor.of(new float[] {1, 2, 3, 4}, 4);
    try (Tensor square = flat.reshape(2, 2)) {
      flat.close();
      try (Tensor other = Tensor.zeros(4)) {
        assertArrayEquals(new float[] {1, 2, 3, 4}, square.toArray());
        assertArrayEquals(new float[4], other.toArray());
      }
    }
  }

  @Test
  void reusedMemoryIsZeroed() {
    Set<Long> addresses = new HashSet<>();
    for (int i = 0; i < 3; i++) {
      try (Tensor tensor = Tensor.zeros(5000)) {
        assertArrayEquals(new float[5000], tensor.toArray());
        addresses.add(tensor.pointer().address());
        tensor.copyFrom(ones());
      }
    }
    assertEquals(1, addresses.size(), "the memory was not reused");
  }

  private static float[] ones() {
    float[] ones = new float[5000];
    Arrays.fill(ones, 1);
    return ones;
  }
}
