package io.nativenorm;

import io.nativenorm.engine.Engines;
import io.nativenorm.engine.Plan;
import io.nativenorm.engine.Problem;
import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;

/**
 * Which engines run a layer's input, and why not the others. As text it is what {@link
 * NormLayer#explain(Tensor)} gives:
 *
 * <pre>
 * LayerNorm([768]) on F32 CHANNELS_FIRST [32, 768], backend AUTO, threads 2
 *   inference: FUSED, kernel fused avx2 layer_rows_f32
 *     not ONEDNN: accepts it, but comes after FUSED
 *     ...
 * </pre>
 *
 * @param layer the layer, as it prints itself
 * @param input the input's type, layout and shape
 * @param backend the backend that the layer was built with
 * @param threads how many threads a call may have
 * @param inference the choice for inference
 * @param training that for the forward pass of training; with an exchange, its first phase's, that
 *     measures
 * @param backward that for its gradients; with an exchange, the phase's that sums them up
 */
public record Explanation(
    String layer,
    String input,
    Backend backend,
    int threads,
    Choice inference,
    Choice training,
    Choice backward) {

  /**
   * None of them may be null.
   *
   * @param layer the layer, as it prints itself
   * @param input the input's type, layout and shape
   * @param backend the backend that the layer was built with
   * @param threads how many threads a call may have
   * @param inference the choice for inference
   * @param training that for the forward pass of training
   * @param backward that for its gradients
   */
  public Explanation {
    Objects.requireNonNull(layer, "layer");
    Objects.requireNonNull(input, "input");
    Objects.requireNonNull(backend, "backend");
    Objects.requireNonNull(inference, "inference");
    Objects.requireNonNull(training, "training");
    Objects.requireNonNull(backward, "backward");
  }

  /**
   * The choice for one direction. Of an empty input there is nothing to compute, and so neither
   * engine nor kernel nor reasons.
   *
   * @param engine the engine that runs it, if any can
   * @param kernel what of the engine does, such as {@code fused avx2 layer_rows_f32}
   * @param reasons why each of the other engines does not, in the order AUTO asks them
   */
  public record Choice(
      Optional<Backend> engine, Optional<String> kernel, Map<Backend, String> reasons) {

    /**
     * A choice with a copy of the reasons.
     *
     * @param engine the engine that runs it, if any can
     * @param kernel what of the engine does
     * @param reasons why each of the other engines does not
     */
    public Choice {
      Objects.requireNonNull(engine, "engine");
      Objects.requireNonNull(kernel, "kernel");
      Objects.requireNonNull(reasons, "reasons");
      reasons = Collections.unmodifiableMap(new LinkedHashMap<>(reasons));
    }

    static Choice of(Problem problem, Backend backend) {
      Optional<Backend> engine = Optional.empty();
      Optional<String> kernel = Optional.empty();
      Map<Backend, String> reasons = new LinkedHashMap<>();
      for (Engines.Verdict verdict : verdicts(problem, backend)) {
        if (verdict.engine().isPresent()) {
          engine = Optional.of(verdict.backend());
          kernel = Optional.of(kernelName(problem, backend));
        } else {
          reasons.put(verdict.backend(), verdict.reason());
        }
      }
      return new Choice(engine, kernel, reasons);
    }

    private static List<Engines.Verdict> verdicts(Problem problem, Backend backend) {
      return problem.shape().elements() == 0 ? List.of() : Engines.verdicts(problem, backend);
    }

    private static String kernelName(Problem problem, Backend backend) {
      Plan plan = Engines.acquire(problem, backend);
      try {
        return plan.name();
      } finally {
        Engines.release(plan);
      }
    }

    /** The engine and its kernel, without the reasons. */
    @Override
    public String toString() {
      if (engine.isPresent() && kernel.isPresent()) {
        return engine.get() + ", kernel " + kernel.get();
      }
      return reasons.isEmpty() ? "nothing to compute, the input is empty" : "no engine";
    }
  }

  static Explanation of(
      String layer,
      String input,
      Backend backend,
      Problem inference,
      Problem training,
      Problem backward) {
    return new Explanation(
        layer,
        input,
        backend,
        training.threads(),
        Choice.of(inference, backend),
        Choice.of(training, backend),
        Choice.of(backward, backend));
  }

  /** The text. */
  @Override
  public String toString() {
    List<String> lines = new ArrayList<>();
    lines.add(layer + " on " + input + ", backend " + backend + ", threads " + threads);
    append("inference", inference, lines);
    append("training", training, lines);
    append("backward", backward, lines);
    return String.join("\n", lines);
  }

  private static void append(String direction, Choice choice, List<String> lines) {
    lines.add("  " + direction + ": " + choice);
    choice.reasons().forEach((engine, why) -> lines.add("    not " + engine + ": " + why));
  }
}
