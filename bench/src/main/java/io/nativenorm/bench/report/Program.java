package io.nativenorm.bench.report;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** What a tight loop hides, as Markdown: stacks of layers, and calls after pauses. */
final class Program {
  private Program() {}

  static String of(Figures figures) {
    return "A training step through a stack of layers, each output kept for its backward, with the C "
        + "library's own settings for memory:\n\n"
        + stacks(figures.stacks())
        + "\nA call of NativeNorm's on all threads, its time over that on one:\n\n"
        + pauses(figures.pauses());
  }

  private static String stacks(List<Figures.Stack> stacks) {
    return Text.table(
        List.of("", "NativeNorm", "PyTorch", "time", "page faults", "PyTorch's"),
        stacks.stream()
            .map(
                stack ->
                    List.of(
                        stack.step(),
                        Text.number(stack.own()) + " ms",
                        Text.number(stack.other()) + " ms",
                        Text.times(stack.other() / stack.own()),
                        Text.number(stack.ownFaults()),
                        Text.number(stack.otherFaults())))
            .toList());
  }

  /** A row for each call, a column for each situation. */
  private static String pauses(List<Figures.Pause> pauses) {
    List<String> head = new ArrayList<>(List.of(""));
    Map<String, List<String>> rows = new LinkedHashMap<>();
    for (Figures.Pause pause : pauses) {
      if (!head.contains(pause.when())) {
        head.add(pause.when());
      }
      rows.computeIfAbsent(pause.call(), call -> new ArrayList<>(List.of(call)))
          .add(Text.times(pause.micros() / pause.alone()));
    }
    return Text.table(head, List.copyOf(rows.values()));
  }
}
