package io.nativenorm.bench.contestant;

import io.nativenorm.bench.Contestant;
import java.util.List;

/** Loops over heap arrays, which need no library. */
abstract class PlainJava implements Contestant {
  @Override
  public final String version() {
    return "Java " + Runtime.version().feature();
  }

  @Override
  public final List<String> jars() {
    return List.of();
  }
}
