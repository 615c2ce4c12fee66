package io.nativenorm;

import io.nativenorm.engine.Storage;
import java.io.IOException;
import java.lang.reflect.Constructor;
import java.lang.reflect.Executable;
import java.lang.reflect.Modifier;
import java.util.Arrays;
import java.util.List;
import java.util.Random;

/**
 * Calls of the public API in a random order, on random objects, with arguments a method takes and
 * with others. What a call that should work throws, what is thrown that is not documented, a result
 * outside the numerical contract, and an output touched by a call that failed are errors.
 */
final class RandomCalls {
  /** Of which one is as good as any other. */
  private static final List<Class<?>> EXAMPLES =
      List.of(
          Explanation.class,
          Explanation.Choice.class,
          IncompatibleKeys.class,
          ChannelMoments.class,
          GradientSums.class,
          ExchangeException.class,
          StatisticsExchange.class,
          Mask.class);

  private static final Class<?>[] PARAMETER = {Tensor.class};

  /** Beyond it a shape may ask for more memory than there is. */
  private static final long MUCH = 1L << 26;

  private final List<PublicApi.Call> all;
  private final Random random;
  private final CallSubjects subjects;
  private final CallArguments arguments;
  private final CallTally tally;

  private RandomCalls(
      List<PublicApi.Call> all, Random random, CallSubjects subjects, CallTally tally) {
    this.all = all;
    this.random = random;
    this.subjects = subjects;
    this.arguments = new CallArguments(subjects);
    this.tally = tally;
  }

  /** Some calls that a seed determines. */
  static void run(List<PublicApi.Call> all, long seed, int count, CallTally tally) {
    Random random = new Random(seed);
    try (CallSubjects subjects = new CallSubjects(random)) {
      RandomCalls calls = new RandomCalls(all, random, subjects, tally);
      for (int i = 0; i < count; i++) {
        calls.next();
        subjects.trim();
      }
    }
  }

  private void next() {
    PublicApi.Call call = all.get(random.nextInt(all.size()));
    Executable method = call.executable();
    boolean hostile = random.nextInt(3) == 0;
    Object receiver = receiver(call, hostile);
    Object[] given =
        hostile ? arguments.hostile(method, receiver) : arguments.valid(method, receiver);
    CallCheck check = CallCheck.before(method, receiver, given, subjects, hostile);
    try {
      Object result = call.invoke(receiver, given);
      check.returned(result);
      if (result != null) {
        keep(method, receiver, given, result);
      }
      if (receiver instanceof Pass pass && method.getName().equals("forward")) {
        subjects.forwardAgain(pass);
      }
      tally.returned(call, subjects.layers.get(receiver));
    } catch (AssertionError e) {
      throw new AssertionError(describe(call, receiver, given) + ": " + e.getMessage(), e);
    } catch (Throwable e) {
      requireDocumented(call, receiver, given, hostile, e);
      check.threw();
      tally.threw(call);
    }
  }

  /** An object to call the method on: usable, or if the call may be hostile any. */
  private Object receiver(PublicApi.Call call, boolean hostile) {
    Class<?> type = call.owner();
    Executable method = call.executable();
    if (method instanceof Constructor<?> || Modifier.isStatic(method.getModifiers())) {
      return null;
    }
    if (hostile && random.nextBoolean()) {
      Object any = subjects.any(type);
      if (any != null) {
        return any;
      }
    }
    return switch (method.getName()) {
      case "getLong" -> subjects.counts();
      case "buffer" -> subjects.openTensor();
      default -> type == Tensor.class ? subjects.openTensor(Storage.COMPUTED) : usable(type);
    };
  }

  private Object usable(Class<?> type) {
    if (NormLayer.class.isAssignableFrom(type)) {
      return subjects.layer(type.asSubclass(NormLayer.class));
    }
    if (LayerBuilder.class.isAssignableFrom(type)) {
      return subjects.builder(type);
    }
    if (type == Pass.class) {
      return subjects.pass();
    }
    if (type == Gradients.class) {
      Pass pass = subjects.pass();
      try (Tensor dy = pass.output().to(pass.output().layout())) {
        Gradients made = pass.backward(dy);
        subjects.keep(made);
        return made;
      }
    }
    if (type.isEnum()) {
      return type.getEnumConstants()[0];
    }
    if (type == TensorScope.class) {
      return TensorScope.open();
    }
    if (EXAMPLES.contains(type)) {
      return PublicApi.example(type);
    }
    if (type == NativeNorm.EngineInfo.class) {
      return NativeNorm.engines().get(random.nextInt(3));
    }
    throw new AssertionError("nothing to call a method of " + type + " on");
  }

  private void keep(Executable method, Object receiver, Object[] given, Object result) {
    if (result instanceof LayerBuilder<?> builder) {
      subjects.keepBuilder(method, receiver, given, builder);
    } else if (result instanceof NormLayer layer) {
      subjects.keepLayer(method, receiver, given, layer);
    } else if (result instanceof Pass pass && given[0] instanceof float[]) {
      pass.close();
    } else if (result instanceof Pass pass) {
      NormLayer layer = (NormLayer) receiver;
      boolean frozen =
          switch (method.getName()) {
            case "forwardFrozen" -> true;
            case "forwardTraining" -> !CallSubjects.isClosed(layer) && CallSubjects.isFrozen(layer);
            default -> false;
          };
      subjects.keepPass(layer, (Tensor) given[0], pass, frozen);
    } else if (result instanceof Tensor || result instanceof Gradients) {
      subjects.keep(result);
    }
  }

  /** What package-info and the methods' own pages say is thrown, and when. */
  private void requireDocumented(
      PublicApi.Call call, Object receiver, Object[] given, boolean hostile, Throwable thrown) {
    boolean documented =
        thrown instanceof IllegalArgumentException
            || thrown instanceof IllegalStateException
            || (thrown instanceof IndexOutOfBoundsException && takesAnIndex(call))
            || (thrown instanceof IOException && call.owner() == Weights.class)
            || (thrown instanceof NativeNormException && mayRefuse(receiver))
            || (thrown instanceof NullPointerException && namesANull(given, thrown))
            || (thrown instanceof OutOfMemoryError && asksForMuch(given));
    boolean expected = hostile || mayRefuse(call.executable(), receiver, thrown);
    if (!documented || !expected || thrown.getMessage() == null) {
      throw new AssertionError(describe(call, receiver, given) + " threw " + thrown, thrown);
    }
  }

  private static boolean takesAnIndex(PublicApi.Call call) {
    return List.of("getLong", "get", "set", "narrow").contains(call.executable().getName());
  }

  /** Whether a backend was named, which may not have what was asked. */
  private boolean mayRefuse(Object receiver) {
    LayerSpec spec =
        receiver instanceof Pass pass
            ? subjects.passes.get(pass).spec()
            : subjects.layers.get(receiver);
    return spec == null || spec.backend != Backend.AUTO;
  }

  /**
   * Arrays without a shape, which tell rows and nothing else; what is FUSED's, without it; a bias
   * of RMS.
   */
  static boolean isAlwaysRefused(PublicApi.Call call) {
    if (call.executable().getName().equals("plainPass")) {
      return !TestEngines.hasFused();
    }
    Class<?>[] types = call.executable().getParameterTypes();
    if (call.owner() == RmsNorm.Builder.class && Arrays.equals(types, PARAMETER)) {
      return call.executable().getName().equals("bias");
    }
    if (!NormLayer.class.isAssignableFrom(call.owner())) {
      return false;
    }
    boolean ofRows = call.owner() == LayerNorm.class || call.owner() == RmsNorm.class;
    return !ofRows && Arrays.equals(types, new Class<?>[] {float[].class, float[].class});
  }

  /** Calls with good arguments that are refused all the same, as documented. */
  private boolean mayRefuse(Executable method, Object receiver, Throwable thrown) {
    LayerSpec spec = subjects.layers.get(receiver);
    if (receiver instanceof Pass) {
      boolean ofArrays = method.getParameterTypes()[0] == float[].class;
      return thrown instanceof NativeNormException
          || thrown instanceof IllegalStateException
          || (ofArrays && thrown.getMessage().endsWith("but got arrays"));
    }
    return switch (method.getName()) {
      case "forwardFrozen", "freeze" -> !spec.tracks && thrown instanceof IllegalStateException;
      case "forward", "explain", "forwardTraining", "forwardTrainingWithoutUpdate" ->
          thrown instanceof NativeNormException
              || (spec.kind == BatchNorm.class && spec.eps == 0)
              || thrown.getMessage().contains("masks are not combined") // of ghost batches
              || isAlwaysRefused(new PublicApi.Call(spec.kind, method));
      case "measure", "apply", "sumGradients", "applyGradients", "parameterGradients" ->
          thrown instanceof NativeNormException || spec.eps == 0;
      case "plainPass" -> !TestEngines.hasFused();
      case "narrow" -> ((Tensor) receiver).rank() == 0;
      case "get", "set" -> ((Tensor) receiver).size() == 0; // there is no index
      case "bias" -> receiver instanceof RmsNorm.Builder; // which has none
      case "build" ->
          thrown instanceof IllegalStateException // a shared parameter is closed,
              || thrown.getMessage().contains("shared") // or does not fit,
              || thrown.getMessage().contains("cumulative()") // which PASS does not go with,
              || thrown.getMessage().contains("exchange") // which some need and some refuse,
              || thrown.getMessage().contains("ghost(") // without running statistics
              || subjects.builders.get(receiver).unitOffset != 0; // without a weight
      default -> false;
    };
  }

  private static boolean namesANull(Object[] given, Throwable thrown) {
    boolean isTheJdksOwn = String.valueOf(thrown.getMessage()).contains("because");
    return Arrays.asList(given).contains(null) && !isTheJdksOwn || hasANullInside(given);
  }

  private static boolean hasANullInside(Object[] given) {
    return Arrays.stream(given)
        .anyMatch(value -> value instanceof java.util.Map<?, ?> map && map.containsValue(null));
  }

  private static boolean asksForMuch(Object[] given) {
    for (Object value : given) {
      long[] extents =
          value instanceof long[] shape
              ? shape
              : value instanceof Long extent ? new long[] {extent} : new long[0];
      if (Arrays.stream(extents).anyMatch(extent -> extent > MUCH)) {
        return true;
      }
    }
    return false;
  }

  private String describe(PublicApi.Call call, Object receiver, Object[] given) {
    LayerSpec spec = subjects.layers.get(receiver);
    String on = receiver == null ? "" : " on " + receiver + (spec == null ? "" : " " + spec);
    return call + on + " with " + Arrays.deepToString(shortened(given));
  }

  private static Object[] shortened(Object[] given) {
    return Arrays.stream(given)
        .map(value -> value instanceof float[] array ? "float[" + array.length + "]" : value)
        .toArray();
  }
}
