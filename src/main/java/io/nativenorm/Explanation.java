package io.nativenorm;

import io.nativenorm.engine.Engines;
import io.nativenorm.engine.Plan;
import io.nativenorm.engine.Problem;
import java.util.Locale;

/** The choice of engines in words. */
final class Explanation {
  private Explanation() {}

  static String of(String title, boolean empty, Backend backend, Problem... problems) {
    StringBuilder text = new StringBuilder(title);
    for (Problem problem : problems) {
      text.append("\n  ").append(problem.direction().name().toLowerCase(Locale.ROOT)).append(": ");
      if (empty) {
        text.append("nothing to compute, the input is empty");
      } else {
        append(text, problem, backend);
      }
    }
    return text.toString();
  }

  private static void append(StringBuilder text, Problem problem, Backend backend) {
    String winner = "no engine";
    StringBuilder others = new StringBuilder();
    for (Engines.Verdict verdict : Engines.verdicts(problem, backend)) {
      if (verdict.engine().isPresent()) {
        winner = verdict.backend() + ", kernel " + kernelName(problem, backend);
      } else {
        others.append("\n    not ").append(verdict.backend());
        others.append(": ").append(verdict.reason());
      }
    }
    text.append(winner).append(others);
  }

  private static String kernelName(Problem problem, Backend backend) {
    Plan plan = Engines.acquire(problem, backend);
    try {
      return plan.name();
    } finally {
      Engines.release(plan);
    }
  }
}
