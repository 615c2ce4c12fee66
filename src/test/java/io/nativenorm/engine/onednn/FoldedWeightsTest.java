package io.nativenorm.engine.onednn;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.nativenorm.DataType;
import io.nativenorm.NativeNorm;
import io.nativenorm.engine.Affine;
import io.nativenorm.engine.Fusion;
import io.nativenorm.engine.Norm;
import io.nativenorm.engine.Operands;
import io.nativenorm.engine.Operation;
import io.nativenorm.engine.Problem;
import io.nativenorm.engine.Shape;
import io.nativenorm.engine.Slot;
import io.nativenorm.engine.StatisticsSource;
import io.nativenorm.engine.Storage;
import io.nativenorm.engine.Task;
import io.nativenorm.engine.memory.Memory;
import io.nativenorm.engine.memory.MemoryPool;
import io.nativenorm.engine.memory.PooledMemory;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

/** What is kept from call to call is what the next call would compute. */
class FoldedWeightsTest {
  private static final int UNITS = 5;
  private static final double EPS = 1e-5;

  private final PooledMemory pooled = MemoryPool.take(DataType.F32, 3L * UNITS);
  private final Memory weight = pooled.memory().slice(0, UNITS);
  private final Memory mean = pooled.memory().slice(UNITS, UNITS);
  private final Memory variance = pooled.memory().slice(2L * UNITS, UNITS);
  private final FoldedWeights folded = new FoldedWeights(problem(true));

  @BeforeAll
  static void loadsOnednn() {
    assertTrue(NativeNorm.engines().get(1).available());
  }

  @AfterEach
  void frees() {
    folded.free();
    pooled.close();
  }

  private static Problem problem(boolean hasWeight) {
    return new Problem(
        new Norm(Operation.BATCH, StatisticsSource.GIVEN, EPS),
        Shape.ofRows(2, UNITS),
        Storage.of(DataType.F32),
        new Affine(hasWeight, false),
        Fusion.NONE,
        Task.INFER,
        1);
  }

  private Operands statistics() {
    return Operands.NONE.with(Slot.MEAN, mean).with(Slot.VARIANCE, variance);
  }

  private boolean compute() {
    return folded.compute(statistics().with(Slot.WEIGHT, weight));
  }

  private void assertIsComputed(String which) {
    assertTrue(compute(), which);
    for (int i = 0; i < UNITS; i++) {
      float expected = (float) (weight.view().get(i) / Math.sqrt(variance.view().get(i) + EPS));
      float actual = folded.weights().view().get(i);
      assertEquals(Float.floatToRawIntBits(expected), Float.floatToRawIntBits(actual), which);
      assertEquals(1, folded.ones().view().get(i));
    }
  }

  @Test
  void followsEachValue() {
    weight.setAll(2);
    mean.setAll(0.5f);
    variance.setAll(3);
    assertIsComputed("at first");
    assertIsComputed("once more");
    float[] values = {7, 0, -0f, Float.NaN, 1};
    for (int i = 0; i < UNITS; i++) {
      for (float value : values) {
        weight.view().put(i, value);
        assertIsComputed("weight " + i + " is " + value);
        variance.view().put(i, value);
        assertIsComputed("variance " + i + " is " + value);
      }
    }
  }

  @Test
  void followsWhatFloatsCannotHoldAndBack() {
    weight.setAll(1);
    mean.setAll(0);
    variance.setAll(1);
    for (int i = 0; i < UNITS; i++) {
      assertIsComputed("before " + i);
      for (Memory changed : new Memory[] {mean, weight}) {
        float usual = changed.view().get(i);
        changed.view().put(i, changed == mean ? 3e38f : 1e-38f);
        assertFalse(compute());
        assertFalse(compute());
        changed.view().put(i, usual);
        assertIsComputed("back " + i);
      }
    }
  }

  @Test
  void withoutWeightItIsTheInverseDeviation() {
    FoldedWeights inverse = new FoldedWeights(problem(false));
    mean.setAll(0);
    variance.setAll(4);
    assertTrue(inverse.compute(statistics()));
    assertEquals((float) (1 / Math.sqrt(4 + EPS)), inverse.weights().view().get(UNITS - 1));
    inverse.free();
  }
}
