package io.nativenorm;

import io.nativenorm.engine.Engine;
import io.nativenorm.engine.Engines;
import io.nativenorm.engine.Kernel;
import io.nativenorm.engine.Problem;
import java.util.Locale;

/** The choice of engines in words. */
final class Explanation {
  private Explanation() {}

  static String of(String title, boolean empty, Backend backend, Problem... problems) {
    StringBuilder text = new StringBuilder(title);
    for (Problem problem : problems) {
      String direction = problem.direction().name().toLowerCase(Locale.ROOT);
      if (empty) {
        text.append("\n  ").append(direction).append(": nothing to compute, the input is empty");
      } else {
        text.append("\n  ").append(direction).append(": ").append(winner(problem, backend));
        for (Engines.Verdict verdict : Engines.verdicts(problem, backend)) {
          if (verdict.engine().isEmpty()) {
            text.append("\n    not ").append(verdict.backend()).append(": ");
            text.append(verdict.reason());
          }
        }
      }
    }
    return text.toString();
  }

  private static String winner(Problem problem, Backend backend) {
    for (Engines.Verdict verdict : Engines.verdicts(problem, backend)) {
      if (verdict.engine().isPresent()) {
        Engine engine = verdict.engine().get();
        Kernel kernel = Engines.acquire(problem, backend);
        try {
          return engine.backend() + ", kernel " + kernel.name();
        } finally {
          Engines.release(kernel);
        }
      }
    }
    return "no engine";
  }
}
