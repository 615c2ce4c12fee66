package io.nativenorm;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.atomic.AtomicReference;
import org.bytedeco.javacpp.FloatPointer;
import org.junit.jupiter.api.Test;

/** A scope closes what its thread made in it and did not keep, and nothing else. */
@SuppressWarnings("try") // a scope need not be looked at
class TensorScopeTest {
  private static final float[] FOUR = {1, 2, 3, 5};

  @Test
  void everythingThatIsMadeIsClosed() {
    List<Tensor> made = new ArrayList<>();
    ByteBuffer bytes = ByteBuffer.allocateDirect(16).order(ByteOrder.nativeOrder());
    try (BatchNorm norm = BatchNorm.of(2);
        FloatPointer pointer = new FloatPointer(4)) {
      Pass pass;
      Pass given;
      Pass onArrays;
      Pass frozen;
      Gradients gradients;
      try (TensorScope scope = TensorScope.open()) {
        Tensor x = Tensor.of(FOUR, 2, 2);
        made.add(x);

        made.add(Tensor.zeros(2, 2));
        made.add(Tensor.allocate(DataType.F32, Layout.CHANNELS_LAST, 2, 2, 1));
        made.add(Tensor.wrap(bytes.asFloatBuffer(), 4));
        made.add(Tensor.wrap(bytes, DataType.F32, Layout.CHANNELS_FIRST, 4));
        made.add(Tensor.wrap(pointer, DataType.F32, Layout.CHANNELS_FIRST, 4));
        made.add(x.to(DataType.BF16));
        made.add(x.to(Layout.CHANNELS_LAST));
        made.add(x.reshape(4));
        made.add(made.get(2).reshape(4));
        made.add(norm.forward(x));
        pass = norm.forwardTraining(x);
        made.add(pass.output());
        made.add(pass.mean());
        made.add(pass.variance());
        gradients = pass.backward(x);
        made.add(gradients.input());
        made.add(gradients.weight());
        made.add(gradients.bias());
        given = norm.forwardTraining(x, made.get(1));
        onArrays = norm.forwardTraining(FOUR, new float[4], 2, 2);
        frozen = norm.forwardFrozen(x);
        made.forEach(tensor -> assertFalse(tensor.isClosed(), tensor::toString));
      }
      made.forEach(tensor -> assertTrue(tensor.isClosed(), tensor::toString));
      for (Pass closed : List.of(pass, given, onArrays, frozen)) {
        assertThrows(
            IllegalStateException.class, () -> closed.backward(FOUR, new float[4], null, null));
      }
    }
  }

  /** Layers, their parameters, and what is made by other threads. */
  @Test
  void everythingElseStaysOpen() throws InterruptedException {
    Tensor before = Tensor.of(FOUR, 2, 2);
    AtomicReference<Tensor> others = new AtomicReference<>();
    BatchNorm norm;
    try (TensorScope scope = TensorScope.open()) {
      norm = BatchNorm.of(2);
      norm.forwardTraining(before);
      norm.load(norm.state());
      Thread thread = new Thread(() -> others.set(Tensor.zeros(1)));
      thread.start();
      thread.join();
      assertThrows(NullPointerException.class, () -> scope.keep(null));
    }
    assertFalse(before.isClosed());
    assertFalse(others.get().isClosed());
    assertArrayEquals(new float[] {1, 1}, norm.weight().toArray());
    assertEquals(1, norm.numBatchesTracked());
    Map<String, Tensor> state = norm.state();
    state.values().forEach(tensor -> assertFalse(tensor.isClosed()));
    norm.close();
    before.close();
    others.get().close();
  }

  @Test
  void whatIsKeptGoesToTheScopeAround() {
    Tensor outer;
    Tensor inner;
    Tensor free;
    try (TensorScope around = TensorScope.open()) {
      outer = Tensor.zeros(1);
      try (TensorScope scope = TensorScope.open()) {
        inner = scope.keep(Tensor.zeros(1));
        free = around.keep(scope.keep(Tensor.zeros(1)));
        assertSame(outer, scope.keep(outer)); // is not this scope's
      }
      assertFalse(inner.isClosed());
      assertFalse(outer.isClosed());
    }
    assertTrue(outer.isClosed());
    assertTrue(inner.isClosed());
    assertFalse(free.isClosed());
    free.close();
  }

  @Test
  void anInnerScopeThatIsForgottenEndsWithTheOuterOne() {
    Tensor inner;
    TensorScope forgotten;
    try (TensorScope around = TensorScope.open()) {
      forgotten = TensorScope.open();
      inner = Tensor.zeros(1);
      assertFalse(inner.isClosed());
    }
    assertTrue(inner.isClosed());
    forgotten.close(); // again
    assertThrows(IllegalStateException.class, () -> forgotten.keep(inner));
    try (Tensor after = Tensor.zeros(1)) {
      assertFalse(after.isClosed());
    }
  }

  @Test
  void aScopeIsItsThreads() throws InterruptedException {
    try (TensorScope scope = TensorScope.open();
        Tensor tensor = Tensor.zeros(1)) {
      List<Throwable> thrown = new ArrayList<>();
      Thread thread =
          new Thread(
              () -> {
                thrown.add(assertThrows(IllegalStateException.class, scope::close));
                thrown.add(assertThrows(IllegalStateException.class, () -> scope.keep(tensor)));
              },
              "another");
      thread.start();
      thread.join();
      assertEquals(2, thrown.size());
      assertTrue(thrown.get(0).getMessage().startsWith("a scope is used by the thread"));
      assertFalse(tensor.isClosed());
    }
  }

  /** Also when a call in it throws. */
  @Test
  void aScopeClosesAfterAnError() {
    AtomicReference<Tensor> made = new AtomicReference<>();
    assertThrows(
        IllegalArgumentException.class,
        () -> {
          try (TensorScope scope = TensorScope.open();
              LayerNorm norm = LayerNorm.of(3)) {
            scope.keep(Tensor.zeros(0)).close();
            made.set(Tensor.zeros(4));
            made.get().reshape(2, 2);
            norm.forwardTraining(made.get());
          }
        });
    assertTrue(made.get().isClosed());
  }
}
