package io.nativenorm;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.nativenorm.engine.memory.MemoryPool;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import org.bytedeco.javacpp.Pointer;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

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

  static List<LayerCase> cases() {
    List<LayerCase> cases = new ArrayList<>();
    for (Backend backend : TestEngines.all()) {
      for (LayerCase.Kind kind : LayerCase.Kind.values()) {
        for (LayerCase.Affine affine : LayerCase.Affine.values()) {
          for (Layout layout : Layout.values()) {
            cases.add(new LayerCase(kind, layout, backend, 2, 8, 3, 5).with(affine));
          }
        }
      }
    }
    return cases;
  }

  /** All of it is written: what others left there would be NaN. */
  @ParameterizedTest
  @MethodSource("cases")
  void whatATrainingStepGivesIsItsOwn(LayerCase c) {
    try (NormLayer layer = c.layer();
        Tensor x = c.tensor(c.x());
        Tensor dy = c.tensor(c.dy())) {
      leaveNaN();
      try (Pass pass = layer.forwardTraining(x);
          Gradients gradients = pass.backward(dy)) {
        requireFinite(pass.output(), pass.mean(), pass.variance());
        requireFinite(gradients.input(), gradients.weight(), gradients.bias());
      }
      if (layer instanceof RunningNorm running && running.runningMean() != null) {
        leaveNaN();
        try (Pass pass = running.forwardFrozen(x);
            Gradients gradients = pass.backward(dy)) {
          requireFinite(pass.output(), pass.mean(), pass.variance());
          requireFinite(gradients.input(), gradients.weight(), gradients.bias());
        }
      }
    }
  }

  /** More than a step takes, all of the pool's smallest size. */
  private static void leaveNaN() {
    List<Tensor> left = new ArrayList<>();
    for (int i = 0; i < 20; i++) {
      left.add(Tensor.zeros(1024));
      left.get(i).memory().setAll(Float.NaN);
    }
    left.forEach(Tensor::close);
  }

  private static void requireFinite(Tensor... results) {
    for (Tensor result : results) {
      if (result != null) {
        for (float value : result.toArray()) {
          assertTrue(Float.isFinite(value), () -> result + " " + value);
        }
      }
    }
  }

  private static float[] ones() {
    float[] ones = new float[5000];
    Arrays.fill(ones, 1);
    return ones;
  }
}
