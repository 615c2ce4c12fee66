package io.nativenorm.engine;

import io.nativenorm.Backend;
import io.nativenorm.NativeNormException;
import io.nativenorm.engine.onednn.OnednnEngine;
import io.nativenorm.engine.reference.ReferenceEngine;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;

/** The engines in the order they are asked, the choice among them, and the kernels made ready. */
public final class Engines {
  /** A kernel takes some kilobytes; a program that meets more problems than this prepares anew. */
  static final int CACHED_KERNELS = 256;

  /** Why an engine is missing that was never there. */
  public static final String NOT_BUILT = "not part of this build";

  private static final List<Engine> ENGINES = List.of(new OnednnEngine(), new ReferenceEngine());
  private static final String UNMET_REQUIREMENT =
      unmetRequirement(System.getProperty("nativenorm.require", ""));

  private static final Map<Key, Kernel> CACHE = new LinkedHashMap<>(64, 0.75f, true);

  private record Key(Problem problem, Backend backend) {}

  /**
   * What one engine says to a problem.
   *
   * @param backend the engine's name
   * @param engine the engine if it is the one that runs the problem
   * @param reason why it is not, or why it is
   */
  public record Verdict(Backend backend, Optional<Engine> engine, String reason) {}

  private Engines() {}

  /**
   * All engines of this build, in the order AUTO asks them.
   *
   * @return the engines, available or not
   * @throws NativeNormException if {@code nativenorm.require} names one that is not available
   */
  public static List<Engine> all() {
    if (UNMET_REQUIREMENT != null) {
      throw new NativeNormException(UNMET_REQUIREMENT);
    }
    return ENGINES;
  }

  /**
   * The backends that this build has no engine for.
   *
   * @return their names
   */
  public static List<Backend> absent() {
    List<Backend> absent = new ArrayList<>(List.of(Backend.values()));
    absent.remove(Backend.AUTO);
    all().forEach(engine -> absent.remove(engine.backend()));
    return absent;
  }

  /**
   * Asks every engine.
   *
   * @param problem the problem
   * @param backend an engine by name, or AUTO for the fastest that accepts
   * @return one verdict for each backend but AUTO; at most one names an engine
   */
  public static List<Verdict> verdicts(Problem problem, Backend backend) {
    List<Verdict> verdicts = new ArrayList<>();
    for (Backend absent : absent()) {
      verdicts.add(new Verdict(absent, Optional.empty(), NOT_BUILT));
    }
    Backend winner = null;
    for (Engine engine : all()) {
      Optional<String> refusal = refusal(engine, problem, backend);
      if (refusal.isEmpty() && winner == null) {
        winner = engine.backend();
        verdicts.add(new Verdict(winner, Optional.of(engine), "runs it"));
      } else {
        String reason = refusal.orElse("accepts it, but comes after " + winner);
        verdicts.add(new Verdict(engine.backend(), Optional.empty(), reason));
      }
    }
    return verdicts;
  }

  private static Optional<String> refusal(Engine engine, Problem problem, Backend backend) {
    if (backend != Backend.AUTO && backend != engine.backend()) {
      return Optional.of("not asked: the backend is " + backend);
    }
    return engine
        .unavailable()
        .or(() -> engine.rejects(problem))
        .or(
            () ->
                backend == Backend.AUTO
                    ? AutoRules.passOver(engine.backend(), problem)
                    : Optional.empty());
  }

  /**
   * The kernel for a problem, prepared or cached. It stays usable until given back to {@link
   * #release}.
   *
   * @param problem the problem
   * @param backend an engine by name, or AUTO
   * @return a kernel in use
   * @throws NativeNormException if no engine that may run the problem can; the message has every
   *     reason
   */
  public static Kernel acquire(Problem problem, Backend backend) {
    Key key = new Key(problem, backend);
    synchronized (CACHE) {
      Kernel cached = CACHE.get(key);
      if (cached != null && cached.lifetime().acquire()) {
        return cached;
      }
    }
    Kernel made = choose(problem, backend).prepare(problem);
    made.lifetime().acquire();
    Kernel evicted = null;
    synchronized (CACHE) {
      Kernel rival = CACHE.put(key, made);
      if (rival != null) {
        evicted = rival;
      } else if (CACHE.size() > CACHED_KERNELS) {
        evicted = CACHE.remove(CACHE.keySet().iterator().next());
      }
    }
    if (evicted != null) {
      evicted.lifetime().close();
    }
    return made;
  }

  /**
   * Takes a kernel into use once more.
   *
   * @param kernel one that {@link #acquire} gave at some time
   * @return false if it has left the cache: ask {@link #acquire} again
   */
  public static boolean reacquire(Kernel kernel) {
    return kernel.lifetime().acquire();
  }

  /**
   * Ends a use.
   *
   * @param kernel a kernel in use
   */
  public static void release(Kernel kernel) {
    kernel.lifetime().release();
  }

  private static Engine choose(Problem problem, Backend backend) {
    List<Verdict> verdicts = verdicts(problem, backend);
    for (Verdict verdict : verdicts) {
      if (verdict.engine().isPresent()) {
        return verdict.engine().get();
      }
    }
    StringBuilder message = new StringBuilder(backend + " cannot run " + problem);
    for (Verdict verdict : verdicts) {
      if (backend == Backend.AUTO || backend == verdict.backend()) {
        message.append("; ").append(verdict.backend()).append(": ").append(verdict.reason());
      }
    }
    throw new NativeNormException(message.toString());
  }

  private static String unmetRequirement(String required) {
    for (String name : required.split(",")) {
      if (name.isBlank()) {
        continue;
      }
      String wanted = name.strip().toUpperCase(Locale.ROOT);
      Optional<Engine> engine =
          ENGINES.stream().filter(e -> e.backend().name().equals(wanted)).findFirst();
      Optional<String> missing =
          engine.isEmpty() ? Optional.of(NOT_BUILT) : engine.get().unavailable();
      if (missing.isPresent()) {
        return "nativenorm.require names " + name.strip() + ", which is missing: " + missing.get();
      }
    }
    return null;
  }
}
