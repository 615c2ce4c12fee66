package io.nativenorm.cli;

import io.nativenorm.Backend;
import io.nativenorm.LayerNorm;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Parameters;

/** What {@link StartTimes} times: one call, on one engine. */
@Command(name = FirstCall.NAME, hidden = true)
final class FirstCall implements Callable<Integer> {
  static final String NAME = "first-call";

  @Parameters private Backend backend;

  @Override
  public Integer call() {
    try (LayerNorm norm = LayerNorm.builder(64).backend(backend).build()) {
      norm.forward(new float[64]);
    }
    return 0;
  }
}
