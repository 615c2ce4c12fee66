package io.nativenorm;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledOnOs;
import org.junit.jupiter.api.condition.OS;

/** Large calls on another library's OpenMP threads: of the one that oneDNN brings. */
class ThreadsOfTest {
  private static final int ROWS = 128;
  private static final int LENGTH = 768;

  private static LayerNorm layer(String library) {
    return LayerNorm.builder(LENGTH).backend(Backend.FUSED).threads(2).threadsOf(library).build();
  }

  private static Tensor random() {
    return Tensor.of(TestData.normal(1, ROWS * LENGTH, 0, 1), ROWS, LENGTH);
  }

  @Test
  @EnabledOnOs(OS.LINUX)
  void answersAreThoseOfOurThreads() {
    TestEngines.assumeFused();
    TestEngines.assumeThere(Backend.ONEDNN); // which loads libgomp
    try (LayerNorm theirs = LayerNorm.builder(LENGTH).backend(Backend.ONEDNN).build();
        LayerNorm there = layer("libgomp.so.1");
        LayerNorm own = LayerNorm.builder(LENGTH).backend(Backend.FUSED).build();
        Tensor x = random();
        Tensor y = theirs.forward(x)) {
      String explained = there.explain(x);
      assertEquals(3, explained.split(" openmp").length - 1, explained);
      assertFalse(own.explain(x).contains("openmp"), own.explain(x));
      for (int i = 0; i < 3; i++) {
        there.forward(x, y);
        float[] actual = y.toArray();
        own.forward(x, y);
        assertArrayEquals(y.toArray(), actual);
        try (Pass pass = there.forwardTraining(x);
            Gradients gradients = pass.backward(y);
            Pass expectedPass = own.forwardTraining(x);
            Gradients expected = expectedPass.backward(y)) {
          assertArrayEquals(expected.input().toArray(), gradients.input().toArray());
          assertArrayEquals(expected.weight().toArray(), gradients.weight().toArray());
        }
      }
    }
  }

  @Test
  void aLibraryThatIsNotThere() {
    try (LayerNorm norm = layer("libnosuchlibrary.so");
        LayerNorm own = LayerNorm.of(LENGTH);
        Tensor x = random();
        Tensor y = norm.forward(x);
        Tensor expected = own.forward(x)) {
      assertFalse(norm.explain(x).contains("openmp"), norm.explain(x));
      assertArrayEquals(expected.toArray(), y.toArray());
    }
  }
}
