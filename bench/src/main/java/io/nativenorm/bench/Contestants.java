package io.nativenorm.bench;

import io.nativenorm.Backend;
import io.nativenorm.bench.contestant.DjlContestant;
import io.nativenorm.bench.contestant.NativeNormContestant;
import io.nativenorm.bench.contestant.Nd4jContestant;
import io.nativenorm.bench.contestant.OneDnnContestant;
import io.nativenorm.bench.contestant.OnnxRuntimeContestant;
import io.nativenorm.bench.contestant.PyTorchContestant;
import io.nativenorm.bench.contestant.ScalarContestant;
import io.nativenorm.bench.contestant.TensorFlowContestant;
import io.nativenorm.bench.contestant.VectorContestant;
import java.util.List;

/** Who is raced. */
final class Contestants {
  private Contestants() {}

  /** All of them, in the order of the reports. */
  static List<Contestant> all() {
    return List.of(
        new NativeNormContestant(Backend.AUTO),
        new NativeNormContestant(Backend.FUSED),
        new NativeNormContestant(Backend.ONEDNN),
        new NativeNormContestant(Backend.JAVA),
        new OneDnnContestant(),
        new ScalarContestant(),
        new VectorContestant(),
        new PyTorchContestant(),
        new DjlContestant(),
        new OnnxRuntimeContestant(),
        new Nd4jContestant(),
        new TensorFlowContestant());
  }

  /** NativeNorm as it comes, and the libraries a program could take instead. */
  static List<Contestant> peers() {
    return all().stream()
        .filter(contestant -> !contestant.jars().isEmpty())
        .filter(c -> c.name().equals("NativeNorm AUTO") || !c.name().startsWith("NativeNorm"))
        .toList();
  }

  /** The contestant of that name. */
  static Contestant named(String name) {
    return all().stream()
        .filter(contestant -> contestant.name().equals(name))
        .findFirst()
        .orElseThrow(() -> new IllegalArgumentException("no contestant is named " + name));
  }
}
