package io.nativenorm.engine;

import static org.junit.jupiter.api.Assertions.assertEquals;

import io.nativenorm.Backend;
import io.nativenorm.Explanation;
import io.nativenorm.LayerNorm;
import io.nativenorm.Tensor;
import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.logging.Handler;
import java.util.logging.Level;
import java.util.logging.LogRecord;
import java.util.logging.Logger;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** The logger {@code io.nativenorm} says of each plan, once, what {@code explain} does. */
class PlanLogTest {
  private static final Logger LOGGER = Logger.getLogger("io.nativenorm");

  /** Rows of a length that no other test has, so that their plan is made here. */
  private static final int LENGTH = 1237;

  private static List<String> logged(Level level, Runnable calls) {
    List<String> lines = new CopyOnWriteArrayList<>();
    Handler handler =
        new Handler() {
          @Override
          public void publish(LogRecord line) {
            assertEquals(Level.FINE, line.getLevel());
            lines.add(line.getMessage());
          }

          @Override
          public void flush() {}

          @Override
          public void close() {}
        };
    handler.setLevel(Level.ALL);
    Level before = LOGGER.getLevel();
    LOGGER.setLevel(level);
    LOGGER.addHandler(handler);
    try {
      calls.run();
    } finally {
      LOGGER.removeHandler(handler);
      LOGGER.setLevel(before);
    }
    lines.removeIf(line -> !line.contains("x" + LENGTH));
    return lines;
  }

  private static String line(String problem, Backend backend, Explanation.Choice choice) {
    String text = problem + ", backend " + backend + ", threads 3: " + choice;
    for (Backend other : choice.reasons().keySet()) {
      if (other.ordinal() < choice.engine().orElseThrow().ordinal()) {
        text += "; not " + other + ": " + choice.reasons().get(other);
      }
    }
    return text;
  }

  @ParameterizedTest
  @EnumSource(names = {"AUTO", "JAVA"})
  void eachPlanIsSaidOnce(Backend backend) {
    try (LayerNorm layer = LayerNorm.builder(LENGTH).threads(3).backend(backend).build();
        LayerNorm other = LayerNorm.builder(LENGTH).threads(3).backend(backend).build();
        Tensor x = Tensor.zeros(2, LENGTH)) {
      List<String> lines =
          logged(
              Level.FINE,
              () -> {
                for (int i = 0; i < 20; i++) {
                  layer.forward(x, x);
                  other.forward(x, x);
                  layer.forwardTraining(x).close();
                }
              });
      Explanation told = layer.explanation(x);
      assertEquals(
          List.of(
              line("layer infer F32 2x" + LENGTH, backend, told.inference()),
              line("layer train F32 2x" + LENGTH, backend, told.training())),
          lines);
    }
  }

  @Test
  void nothingIsSaidByDefault() {
    float[] x = new float[3 * LENGTH];
    try (LayerNorm layer = LayerNorm.of(LENGTH)) {
      assertEquals(List.of(), logged(null, () -> layer.forward(x, x)));
    }
  }
}
