package io.nativenorm;

import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import java.util.Objects;
import java.util.function.Function;

/** Forwards and backwards of several layers on one exchange, in one message. */
final class Together {
  private Together() {}

  static List<Pass> forward(List<BatchNorm> layers, List<Tensor> inputs) {
    requireAsMany("inputs", inputs.size(), "layers", layers.size());
    Tensor[] x = inputs.toArray(new Tensor[0]);
    Uses.begin(x);
    List<BegunForward> begun = new ArrayList<>();
    List<Pass> passes = new ArrayList<>();
    try {
      for (int i = 0; i < x.length; i++) {
        begun.add(layers.get(i).training.begin(x[i]));
      }
      Iterator<double[][]> measured = gather("forward", begun, BegunForward::message);
      for (BegunForward forward : begun) {
        passes.add(forward.finish(forward.message() == null ? null : measured.next()));
      }
    } catch (RuntimeException | Error e) {
      passes.forEach(Pass::close);
      throw e;
    } finally {
      begun.forEach(BegunForward::close);
      Uses.end(x);
    }
    passes.forEach(TensorScope::made);
    return List.copyOf(passes);
  }

  static List<Gradients> backward(List<Pass> passes, List<Tensor> gradients) {
    requireAsMany("gradients", gradients.size(), "passes", passes.size());
    List<BegunBackward> begun = new ArrayList<>();
    List<Gradients> done = new ArrayList<>();
    try {
      for (int i = 0; i < passes.size(); i++) {
        begun.add(new BegunBackward(passes.get(i), gradients.get(i)));
      }
      Iterator<double[][]> sums = gather("backward", begun, BegunBackward::message);
      for (BegunBackward backward : begun) {
        done.add(backward.finish(backward.message() == null ? null : sums.next()));
      }
    } catch (RuntimeException | Error e) {
      done.forEach(Gradients::close);
      throw e;
    } finally {
      begun.forEach(BegunBackward::close);
    }
    done.forEach(TensorScope::made);
    return List.copyOf(done);
  }

  private static <B> Iterator<double[][]> gather(
      String phase, List<B> begun, Function<B, LayerExchange.Message> message) {
    return LayerExchange.gather(
            phase, begun.stream().map(message).filter(Objects::nonNull).toList())
        .iterator();
  }

  private static void requireAsMany(String some, int count, String others, int expected) {
    if (count != expected) {
      throw new IllegalArgumentException(
          "expected as many " + some + " as " + others + ", " + expected + ", but got " + count);
    }
  }
}
