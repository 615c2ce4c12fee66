package io.nativenorm;

import io.nativenorm.NativeNorm.EngineInfo;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Assumptions;

/**
 * The engines that tests run on: those that are there. One that is missing although {@code
 * nativenorm.require} names it fails every test, since no layer can be made.
 */
public final class TestEngines {
  private static final List<EngineInfo> ENGINES = NativeNorm.engines();

  static {
    ENGINES.stream()
        .filter(engine -> !engine.available())
        .forEach(e -> System.err.println("NOT TESTED: " + e.backend() + ", " + e.detail()));
  }

  private TestEngines() {}

  /** The engines by name. */
  public static Stream<Backend> named() {
    return ENGINES.stream().filter(EngineInfo::available).map(EngineInfo::backend);
  }

  /** AUTO and the engines by name. */
  static List<Backend> all() {
    List<Backend> all = new ArrayList<>(List.of(Backend.AUTO));
    named().forEach(all::add);
    return all;
  }

  /** Whether there is a library with the fused kernels. */
  public static boolean hasFused() {
    return named().anyMatch(Backend.FUSED::equals);
  }

  /** The engine that AUTO takes. */
  static Backend best() {
    return hasFused() ? Backend.FUSED : Backend.ONEDNN;
  }

  /** Leaves a test out, with the reason, if there is no library with the fused kernels. */
  public static void assumeFused() {
    assumeThere(Backend.FUSED);
  }

  /** The same of any engine. */
  static void assumeThere(Backend backend) {
    Assumptions.assumeTrue(
        named().anyMatch(backend::equals),
        () -> backend + " is missing: " + info(backend).detail());
  }

  /** What an engine says of itself. */
  static EngineInfo info(Backend backend) {
    return ENGINES.stream().filter(e -> e.backend() == backend).findFirst().orElseThrow();
  }
}
