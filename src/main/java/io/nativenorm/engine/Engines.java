package io.nativenorm.engine;

import io.nativenorm.Backend;
import io.nativenorm.NativeNormException;
import io.nativenorm.engine.fused.FusedEngine;
import io.nativenorm.engine.memory.ArenaHold;
import io.nativenorm.engine.memory.Memory;
import io.nativenorm.engine.onednn.OnednnEngine;
import io.nativenorm.engine.reference.ReferenceEngine;
import java.lang.System.Logger.Level;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.stream.Collectors;

/** The engines in the order they are asked, the choice among them, and the plans made ready. */
public final class Engines {
  /** A plan takes some kilobytes; a program that meets more problems than this prepares anew. */
  static final int CACHED_PLANS = 256;

  private static final FusedEngine FUSED = new FusedEngine();
  private static final ReferenceEngine REFERENCE = new ReferenceEngine();
  private static final MemoryWork FUSED_WORK = new HoldingWork(FUSED);
  private static final MemoryWork REFERENCE_WORK = new HoldingWork(REFERENCE);
  private static final List<Engine> ENGINES =
      List.of(FUSED, new OnednnEngine(REFERENCE::prepare), REFERENCE);
  private static final String UNMET_REQUIREMENT =
      unmetRequirement(System.getProperty("nativenorm.require", ""));

  private static final System.Logger LOGGER = System.getLogger("io.nativenorm");

  /** Who was said to stand in for others. */
  private static final Set<Backend> ANNOUNCED = ConcurrentHashMap.newKeySet();

  private static final Map<Key, Plan> CACHE = new LinkedHashMap<>(64, 0.75f, true);

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
   * A plain pass over memory, y = a * x + b (see {@link FusedEngine#plainPass}).
   *
   * @param x as many floats as y
   * @param y where the results go
   * @param a factor
   * @param b summand
   * @param threads how many threads may work on it
   * @throws NativeNormException if the engine that has it is not available
   */
  public static void plainPass(Memory x, Memory y, float a, float b, int threads) {
    FUSED
        .unavailable()
        .ifPresent(
            missing -> {
              throw new NativeNormException("there is no plain pass without FUSED: " + missing);
            });
    ArenaHold.during(
        new Memory[] {x, y}, () -> FUSED.plainPass(x.whileHeld(), y.whileHeld(), a, b, threads));
  }

  /**
   * Who does what is done to memory beside problems.
   *
   * @return FUSED where it is there, else plain Java
   */
  public static MemoryWork memoryWork() {
    return FUSED.unavailable().isEmpty() ? FUSED_WORK : REFERENCE_WORK;
  }

  /**
   * Asks every engine.
   *
   * @param problem the problem
   * @param backend an engine by name, or AUTO for the fastest that accepts
   * @return one verdict for each backend but AUTO; at most one names an engine
   */
  public static List<Verdict> verdicts(Problem problem, Backend backend) {
    Optional<Engine> winner = winner(problem, backend);
    List<Verdict> verdicts = new ArrayList<>();
    for (Engine engine : all()) {
      boolean wins = winner.isPresent() && winner.get() == engine;
      String reason =
          wins
              ? "runs it"
              : refusal(engine, problem, backend)
                  .orElseGet(() -> "accepts it, but comes after " + winner.get().backend());
      verdicts.add(new Verdict(engine.backend(), wins ? winner : Optional.empty(), reason));
    }
    return verdicts;
  }

  /** The first engine that takes a problem: those that come after it are not even loaded. */
  private static Optional<Engine> winner(Problem problem, Backend backend) {
    return all().stream().filter(e -> refusal(e, problem, backend).isEmpty()).findFirst();
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
   * The plan for a problem, prepared or cached. It stays usable until given back to {@link
   * #release}.
   *
   * @param problem the problem
   * @param backend an engine by name, or AUTO
   * @return a plan in use
   * @throws NativeNormException if no engine that may run the problem can; the message has every
   *     reason
   */
  public static Plan acquire(Problem problem, Backend backend) {
    Key key = new Key(problem, backend);
    synchronized (CACHE) {
      Plan cached = CACHE.get(key);
      if (cached != null && cached.lifetime().acquire()) {
        return cached;
      }
    }
    Engine engine = choose(problem, backend);
    PlanPrepared event = Recordings.plan();
    Plan made = engine.prepare(problem);
    made.beFor(problem);
    made.lifetime().acquire();
    Plan evicted = null;
    int kept;
    synchronized (CACHE) {
      Plan rival = CACHE.put(key, made);
      if (rival != null) {
        evicted = rival;
      } else if (CACHE.size() > CACHED_PLANS) {
        evicted = CACHE.remove(CACHE.keySet().iterator().next());
      }
      kept = CACHE.size();
    }
    if (evicted != null) {
      evicted.lifetime().close();
    }
    if (LOGGER.isLoggable(Level.DEBUG)) {
      LOGGER.log(Level.DEBUG, choice(problem, backend, engine, made));
    }
    if (event != null) {
      event.done(problem, backend, made, kept, evicted != null);
    }
    return made;
  }

  /** What {@code explain} says of a plan; the engines after its own are not asked, nor loaded. */
  private static String choice(Problem problem, Backend backend, Engine engine, Plan made) {
    StringBuilder text = new StringBuilder();
    text.append(problem).append(", backend ").append(backend);
    text.append(", threads ").append(problem.threads());
    text.append(": ").append(engine.backend()).append(", kernel ").append(made.name());
    for (Engine other : ENGINES.subList(0, ENGINES.indexOf(engine))) {
      String reason = refusal(other, problem, backend).orElseThrow();
      text.append("; not ").append(other.backend()).append(": ").append(reason);
    }
    return text.toString();
  }

  /**
   * Takes a plan into use once more.
   *
   * @param plan one that {@link #acquire} gave at some time
   * @return false if it has left the cache: ask {@link #acquire} again
   */
  public static boolean reacquire(Plan plan) {
    return plan.lifetime().acquire();
  }

  /**
   * Ends a use.
   *
   * @param plan a plan in use
   */
  public static void release(Plan plan) {
    plan.lifetime().release();
  }

  private static Engine choose(Problem problem, Backend backend) {
    Optional<Engine> winner = winner(problem, backend);
    if (winner.isPresent()) {
      if (backend == Backend.AUTO) {
        announce(winner.get());
      }
      return winner.get();
    }
    StringBuilder message = new StringBuilder(backend + " cannot run " + problem);
    for (Verdict verdict : verdicts(problem, backend)) {
      if (backend == Backend.AUTO || backend == verdict.backend()) {
        message.append("; ").append(verdict.backend()).append(": ").append(verdict.reason());
      }
    }
    throw new NativeNormException(message.toString());
  }

  /** Says once that an engine stands in for faster ones that are missing. */
  private static void announce(Engine winner) {
    String missing =
        NativeAccess.missing()
            .orElseGet(
                () ->
                    ENGINES.subList(0, ENGINES.indexOf(winner)).stream()
                        .filter(engine -> engine.unavailable().isPresent())
                        .map(e -> e.backend() + " is missing: " + e.unavailable().get())
                        .collect(Collectors.joining("; ")));
    if (!missing.isEmpty() && ANNOUNCED.add(winner.backend())) {
      LOGGER.log(Level.WARNING, "NativeNorm runs on " + winner.backend() + ": " + missing);
    }
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
          engine.isEmpty() ? Optional.of("not part of this build") : engine.get().unavailable();
      if (missing.isPresent()) {
        return "nativenorm.require names " + name.strip() + ", which is missing: " + missing.get();
      }
    }
    return null;
  }
}
