package io.nativenorm;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.nativenorm.engine.LeakCheck.LeavesMemoryToTheCollector;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.locks.LockSupport;
import org.bytedeco.javacpp.FloatPointer;
import org.bytedeco.javacpp.PointerScope;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Closing, using after closing, and the collector. */
@LeavesMemoryToTheCollector
class LifetimeTest {
  @Test
  void aClosedLayerIsNotUsed() {
    LayerNorm layer = LayerNorm.of(4);
    try (Tensor x = Tensor.zeros(2, 4)) {
      Pass pass = layer.forwardTraining(x);
      layer.close();
      layer.close();
      assertThrows(IllegalStateException.class, () -> layer.forward(x, x));
      assertThrows(IllegalStateException.class, () -> layer.forwardTraining(x));
      assertThrows(IllegalStateException.class, () -> layer.forward(new float[8]));
      assertThrows(IllegalStateException.class, () -> pass.backward(x));
      assertThrows(IllegalStateException.class, () -> layer.weight().toArray());
      pass.close();
      pass.close();
      assertThrows(IllegalStateException.class, () -> pass.backward(x));
      assertThrows(IllegalStateException.class, () -> pass.output().toArray());
    }
  }

  @Test
  void aClosedTensorIsNotUsed() {
    try (LayerNorm layer = LayerNorm.of(4);
        Tensor open = Tensor.zeros(2, 4)) {
      Tensor closed = Tensor.zeros(2, 4);
      closed.close();
      assertThrows(IllegalStateException.class, () -> layer.forward(closed));
      assertThrows(IllegalStateException.class, () -> layer.forward(closed, open));
      assertThrows(IllegalStateException.class, () -> layer.forward(open, closed));
      assertThrows(IllegalStateException.class, () -> layer.forwardTraining(closed));
      try (Pass pass = layer.forwardTraining(open)) {
        assertThrows(IllegalStateException.class, () -> pass.backward(closed));
      }
    }
  }

  @Test
  void aPassKeepsTheMemoryOfItsInput() {
    try (LayerNorm layer = LayerNorm.of(3)) {
      Tensor x = Tensor.of(new float[] {1, 2, 4}, 1, 3);
      try (Pass pass = layer.forwardTraining(x);
          Tensor dy = Tensor.of(new float[] {1, 0, 0}, 1, 3);
          Gradients before = pass.backward(dy)) {
        x.close();
        try (Gradients after = pass.backward(dy)) {
          assertArrayEquals(before.input().toArray(), after.input().toArray());
        }
      }
    }
  }

  @Test
  void closingAHandleLeavesTheLayerItsParameter() {
    try (LayerNorm layer = LayerNorm.of(2)) {
      layer.weight().close();
      assertArrayEquals(new float[] {-1, 1}, layer.forward(new float[] {0, 1000}), 1e-4f);
      assertArrayEquals(new float[] {1, 1}, layer.weight().toArray());
    }
  }

  @Test
  void aClosedLayerRefusesEvenNothing() {
    LayerNorm layer = LayerNorm.of(4);
    layer.close();
    try (Tensor empty = Tensor.zeros(0, 4)) {
      assertThrows(IllegalStateException.class, () -> layer.forward(empty));
    }
  }

  @Test
  void closingStatisticsLeavesThemToBackward() {
    try (BatchNorm layer = BatchNorm.of(2);
        Tensor x = Tensor.of(new float[] {1, 2, 4, 8, 9, 3}, 3, 2);
        Pass pass = layer.forwardTraining(x);
        Gradients before = pass.backward(x)) {
      pass.mean().close();
      pass.variance().close();
      pass.output().close();
      Tensor inTheSamePlace = Tensor.of(new float[] {7, 7}, 2);
      try (Gradients after = pass.backward(x)) {
        assertArrayEquals(before.input().toArray(), after.input().toArray());
      }
      inTheSamePlace.close();
    }
  }

  @Test
  void backwardDoesNotReadAPointerThatWasFreed() {
    FloatPointer memory = new FloatPointer(8);
    memory.put(1, 2, 3, 4, 5, 6, 7, 8);
    try (LayerNorm layer = LayerNorm.of(4);
        Tensor x = Tensor.wrap(memory, DataType.F32, Layout.CHANNELS_FIRST, 2, 4);
        Tensor dy = Tensor.zeros(2, 4);
        Pass pass = layer.forwardTraining(x)) {
      memory.close();
      assertThrows(IllegalStateException.class, () -> pass.backward(dy));
    }
  }

  @ParameterizedTest
  @MethodSource("io.nativenorm.TestEngines#named")
  void aPointerScopeOfTheCallersTakesNothingAway(Backend backend) {
    float[] x = TestData.normal(5, 3 * 777, 0, 1);
    float[] first;
    LayerNorm layer;
    try (PointerScope scope = new PointerScope()) {
      layer = LayerNorm.builder(777).backend(backend).build();
      first = layer.forward(x);
      assertSame(scope, PointerScope.getInnerScope());
    }
    for (int i = 0; i < 100; i++) {
      assertArrayEquals(first, layer.forward(x));
    }
    layer.close();
  }

  @ParameterizedTest
  @MethodSource("io.nativenorm.TestEngines#named")
  void closingDuringACallFreesAfterIt(Backend backend) throws Exception {
    ExecutorService pool = Executors.newFixedThreadPool(2);
    for (int round = 0; round < 200; round++) {
      LayerNorm layer = LayerNorm.builder(512).backend(backend).build();
      Tensor x = Tensor.zeros(64, 512);
      Future<Boolean> use =
          pool.submit(
              () -> {
                try {
                  while (true) {
                    layer.forward(x, x);
                  }
                } catch (IllegalStateException closed) {
                  return true;
                }
              });
      Thread.yield();
      if (round % 2 == 0) {
        x.close();
      } else {
        layer.close();
      }
      assertTrue(use.get());
      x.close();
      layer.close();
    }
    pool.shutdown();
  }

  @ParameterizedTest
  @MethodSource("io.nativenorm.TestEngines#named")
  void sixteenThreadsUnderCollectorPressure(Backend backend) throws Exception {
    LayerCase c = new LayerCase(LayerCase.Kind.LAYER, Layout.CHANNELS_FIRST, backend, 32, 96);
    double[] expected = c.inferenceOracle().forward(TestData.widen(c.x()));
    double[][] gradients =
        c.trainingOracle().backward(TestData.widen(c.x()), TestData.widen(c.dy()));
    AtomicBoolean over = new AtomicBoolean();
    Thread collector =
        new Thread(
            () -> {
              while (!over.get()) {
                long begin = System.nanoTime();
                System.gc();
                // As long for the others: under QEMU, where it takes long, they came to nothing.
                LockSupport.parkNanos(System.nanoTime() - begin);
              }
            });
    collector.start();
    ExecutorService pool = Executors.newFixedThreadPool(16);
    try (NormLayer layer = c.layer()) {
      Callable<Boolean> rounds =
          () -> {
            for (int i = 0; i < 40; i++) {
              // Nothing here is closed: whatever the collector takes too early shows.
              Tensor x = c.tensor(c.x());
              Tensor dy = c.tensor(c.dy());
              Pass pass = layer.forwardTraining(x);
              Gradients actual = pass.backward(dy);
              if (TestData.largestMixedError(expected, layer.forward(x).toArray()) > 1e-5
                  || TestData.largestMixedError(expected, pass.output().toArray()) > 1e-5
                  || TestData.relativeL2(gradients[0], actual.input().toArray()) > 1e-5
                  || TestData.relativeL2(gradients[1], actual.weight().toArray()) > 1e-5) {
                return false;
              }
            }
            return true;
          };
      List<Callable<Boolean>> all = new ArrayList<>();
      for (int i = 0; i < 16; i++) {
        all.add(rounds);
      }
      for (Future<Boolean> done : pool.invokeAll(all)) {
        assertTrue(done.get());
      }
    } finally {
      over.set(true);
      collector.join();
      pool.shutdown();
    }
  }
}
