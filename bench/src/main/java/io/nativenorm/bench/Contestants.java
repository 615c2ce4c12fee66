package io.nativenorm.bench;

import io.nativenorm.Backend;
import io.nativenorm.bench.contestant.NativeNormContestant;
import io.nativenorm.bench.contestant.PyTorchContestant;
import io.nativenorm.bench.contestant.ScalarContestant;
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
        new ScalarContestant(),
        new PyTorchContestant());
  }

  /** The contestant of that name. */
  static Contestant named(String name) {
    return all().stream()
        .filter(contestant -> contestant.name().equals(name))
        .findFirst()
        .orElseThrow(() -> new IllegalArgumentException("no contestant is named " + name));
  }
}
