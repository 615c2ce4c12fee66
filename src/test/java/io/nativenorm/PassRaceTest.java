package io.nativenorm;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;

/**
 * Threads use one pass at once: each backward is of one forward or the other, and memory that its
 * caller has closed is there as long as a call reads it.
 */
class PassRaceTest {
  private static final int ROWS = 24;
  private static final int LENGTH = 512;
  private static final int ROUNDS = 1500;

  private final float[] dy = TestData.normal(3, ROWS * LENGTH, 0, 1);
  private final float[][] inputs = {
    TestData.normal(1, ROWS * LENGTH, 0, 1), TestData.normal(2, ROWS * LENGTH, 5, 2)
  };
  private final float[][] expected = new float[2][];

  private static LayerNorm layer() {
    return LayerNorm.builder(LENGTH).activation(Activation.RELU).build();
  }

  @Test
  void eachBackwardIsOfOneForward() throws Exception {
    ExecutorService threads = Executors.newFixedThreadPool(4);
    try (LayerNorm norm = layer();
        Pass pass = norm.forwardTraining(inputs[0], new float[dy.length])) {
      for (int i = 0; i < 2; i++) {
        float[] y = new float[dy.length];
        expected[i] = new float[dy.length];
        pass.forward(inputs[i], y);
        pass.backward(dy, expected[i], null, null);
      }
      List<Callable<Void>> calls = new ArrayList<>();
      calls.add(() -> forward(pass));
      calls.add(() -> backward(pass));
      calls.add(() -> backward(pass));
      for (Future<Void> done : threads.invokeAll(calls)) {
        done.get();
      }
      Future<Void> last = threads.submit(() -> backward(pass));
      threads.submit(pass::close).get();
      Exception e = assertThrows(Exception.class, last::get);
      assertEquals("the pass of " + norm + " is closed", e.getCause().getMessage());
    } finally {
      threads.shutdown();
      assertTrue(threads.awaitTermination(1, TimeUnit.MINUTES));
    }
  }

  /** On tensors that are closed at once, and on arrays. */
  private Void forward(Pass pass) {
    for (int i = 0; i < ROUNDS; i++) {
      float[] x = inputs[i % 2];
      if (i % 3 == 0) {
        pass.forward(x, new float[x.length]);
      } else {
        try (Tensor closed = Tensor.of(x, ROWS, LENGTH);
            Tensor y = Tensor.zeros(ROWS, LENGTH)) {
          pass.forward(closed, y);
        }
      }
    }
    return null;
  }

  private Void backward(Pass pass) {
    float[] dx = new float[dy.length];
    for (int i = 0; i < 2 * ROUNDS; i++) {
      pass.backward(dy, dx, null, null);
      boolean first = Arrays.equals(expected[0], dx);
      assertTrue(first || Arrays.equals(expected[1], dx), "round " + i);
    }
    return null;
  }
}
