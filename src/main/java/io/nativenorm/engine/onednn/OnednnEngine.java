package io.nativenorm.engine.onednn;

import static org.bytedeco.dnnl.global.dnnl.dnnl_get_effective_cpu_isa;
import static org.bytedeco.dnnl.global.dnnl.dnnl_version;

import io.nativenorm.Backend;
import io.nativenorm.DataType;
import io.nativenorm.Layout;
import io.nativenorm.engine.Engine;
import io.nativenorm.engine.Helpers;
import io.nativenorm.engine.NativeAccess;
import io.nativenorm.engine.Operation;
import io.nativenorm.engine.Plan;
import io.nativenorm.engine.Problem;
import io.nativenorm.engine.Task;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.atomic.AtomicReference;
import java.util.function.Function;
import org.bytedeco.dnnl.dnnl_version_t;
import org.bytedeco.dnnl.global.dnnl;
import org.bytedeco.javacpp.Loader;

/** oneDNN through JavaCPP's binding of its C API. Loaded when first asked for. */
public final class OnednnEngine implements Engine {
  /**
   * Problems below this run on their caller's thread. LayerNorm of 256x768 takes 37 us with one
   * thread and as long with two, of 384x768 69 us with one and 51 with two.
   */
  static final long TEAM_ELEMENTS = 1 << 18;

  /** By oneDNN's {@code dnnl_cpu_isa_t}, whose numbers are others on Arm. */
  private static final Map<Integer, String> INSTRUCTION_SETS =
      Map.ofEntries(
          Map.entry(0x1, "SSE4.1"),
          Map.entry(0x3, "AVX"),
          Map.entry(0x7, "AVX2"),
          Map.entry(0xf, "AVX2 VNNI"),
          Map.entry(0x27, "AVX-512"),
          Map.entry(0x67, "AVX-512 VNNI"),
          Map.entry(0xe7, "AVX-512 BF16"),
          Map.entry(0x1ef, "AVX-512 FP16"),
          Map.entry(0xfef, "AVX-512 AMX"),
          Map.entry(0x1fef, "AVX-512 AMX FP16"));

  private final Function<Problem, Plan> reference;

  private String missing;
  private Team team;
  private int teamLimit;

  /** The workers of OpenMP, which come with a team that has some; the team's thread stays. */
  private final Helpers helpers = new Helpers(() -> {}, () -> team.endWorkers());

  /**
   * Nothing is loaded yet.
   *
   * @param reference prepares what computes a problem whose values floats cannot hold
   */
  public OnednnEngine(Function<Problem, Plan> reference) {
    this.reference = reference;
  }

  /** Loads oneDNN once; afterwards there is a team, unless {@code missing} says why not. */
  private synchronized void load() {
    if (missing != null || team != null) {
      return;
    }
    missing = NativeAccess.missing().orElse(null);
    if (missing != null) {
      return;
    }
    try {
      NativeAccess.load(dnnl.class);
      team = new Team(OpenMp.loaded());
      teamLimit = sizeCheckedInTurn();
    } catch (NoClassDefFoundError e) {
      missing = "oneDNN's presets, org.bytedeco:dnnl, are not there: " + e.getMessage();
    } catch (LinkageError | RuntimeException | OutOfMemoryError e) {
      String reason = NativeAccess.explain(e, dnnl.class, "jnidnnl");
      missing = "its library cannot be loaded: " + reason;
    }
  }

  private int sizeCheckedInTurn() {
    if (!helpers.enterInTurn()) {
      return 1;
    }
    try {
      return largestTeam(team, Runtime.getRuntime().availableProcessors());
    } finally {
      helpers.giveBack();
    }
  }

  /**
   * How many threads oneDNN's work may be split over: as wanted, or 1 if OpenMP gives fewer than it
   * promises. Where its functions are not found every team has the default size, whatever that is:
   * then 1, or 0 if not even its sums are whole.
   */
  static int largestTeam(Team team, int wanted) {
    if (!team.isSizable()) {
      return TeamCheck.isWhole(team, 1) ? 1 : 0;
    }
    return wanted > 1 && TeamCheck.isWhole(team, wanted) ? wanted : 1;
  }

  @Override
  public Backend backend() {
    return Backend.ONEDNN;
  }

  @Override
  public String description() {
    if (unavailable().isPresent()) {
      return "";
    }
    dnnl_version_t v = dnnl_version();
    int isa = dnnl_get_effective_cpu_isa();
    String number = "instruction set 0x" + Integer.toHexString(isa);
    boolean isX86 = Loader.getPlatform().endsWith("x86_64");
    return String.format(
        Locale.ROOT,
        "oneDNN %d.%d.%d, %s, OpenMP team of %d",
        v.major(),
        v.minor(),
        v.patch(),
        isX86 ? INSTRUCTION_SETS.getOrDefault(isa, number) : number,
        teamLimit);
  }

  @Override
  public boolean isReproducible() {
    return false;
  }

  @Override
  public Optional<String> unavailable() {
    load();
    return Optional.ofNullable(missing);
  }

  @Override
  public Optional<String> rejects(Problem problem) {
    Optional<DataType> other = problem.storage().otherThan(DataType.F32);
    if (other.isPresent()) {
      return Optional.of("computes F32 only, not " + other.get());
    }
    if (!problem.shape().strides().areClose()) {
      return Optional.of("has no rows that lie apart");
    }
    if (problem.affine().unitOffset() != 0) {
      return Optional.of(
          "multiplies by the weight as it is, not by weight + " + problem.affine().unitOffset());
    }
    if (problem.task().isPhase()) {
      return Optional.of("has no phases: its primitives compute a batch as a whole");
    }
    if (problem.norm().masked()) {
      return Optional.of("has no masks: its statistics are of all positions");
    }
    long sampleBytes = problem.shape().channels() * problem.shape().spatial() * Float.BYTES;
    boolean addressedAsOne =
        problem.shape().layout() == Layout.CHANNELS_LAST
            && problem.norm().operation() != Operation.GROUP;
    if (addressedAsOne && sampleBytes > Integer.MAX_VALUE) {
      // 16 million positions of 64 channels end the process; LayerNorm's kernel cannot be made.
      return Optional.of("its kernels address a sample or row with 32 bits");
    }
    if (problem.unitCount() >= Integer.MAX_VALUE / 2) {
      return Optional.of("its statistics are mended through an array of all of them");
    }
    boolean sumsOverTheTeam =
        problem.task() == Task.BACKWARD
            && (problem.norm().operation() == Operation.LAYER
                || problem.norm().operation() == Operation.RMS);
    if (teamLimit == 0 && sumsOverTheTeam) {
      return Optional.of("OpenMP gives smaller teams than it promises: the sums would be wrong");
    }
    if (BackwardSteps.isByChannels(problem)) {
      return Optional.empty();
    }
    AtomicReference<String> refusal = new AtomicReference<>();
    team.run(
        1,
        nothing -> {
          try (PrimitiveDescription description =
              problem.task() == Task.BACKWARD
                  ? PrimitiveDescription.backward(problem)
                  : PrimitiveDescription.forward(problem)) {
            refusal.set(description.refusal());
          }
        },
        null);
    return Optional.ofNullable(refusal.get());
  }

  @Override
  public Plan prepare(Problem problem) {
    boolean small = problem.shape().elements() < TEAM_ELEMENTS;
    int threads = small ? 1 : Math.max(1, Math.min(problem.threads(), teamLimit));
    return OnednnPlan.prepare(team, helpers, reference, problem, threads);
  }
}
