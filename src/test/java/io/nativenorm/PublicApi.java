package io.nativenorm;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.reflect.Constructor;
import java.lang.reflect.Executable;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.lang.reflect.Modifier;
import java.lang.reflect.Parameter;
import java.net.URISyntaxException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.Stream;
import org.bytedeco.javacpp.BytePointer;
import org.bytedeco.javacpp.FloatPointer;
import org.bytedeco.javacpp.Pointer;

/**
 * Every public method and constructor of the package, as the class files tell, each with an object
 * to call it on and arguments that it takes: no method that comes later is forgotten.
 */
final class PublicApi {
  /** Extents that every layer here takes. */
  private static final long[] SHAPE = {2, 1, 6, 1};

  private static final int SIZE = 12;

  /** Arguments that are as good as any other. */
  private static final List<Class<?>> EXAMPLES =
      List.of(
          Explanation.Choice.class,
          ChannelMoments.class,
          GradientSums.class,
          StatisticsExchange.class,
          Mask.class);

  private static final ByteBuffer MEMORY = bytes();

  /** One way to call a method: on a layer's class for what layers inherit. */
  record Call(Class<?> owner, Executable executable) {
    /** Makes an object that an instance method is called on, or null for what is static. */
    Object receiver() {
      return executable instanceof Constructor || Modifier.isStatic(executable.getModifiers())
          ? null
          : executable.getName().equals("getLong")
              ? Tensor.allocate(DataType.I64, Layout.CHANNELS_FIRST, SHAPE)
              : example(owner);
    }

    Object[] arguments(Object receiver) {
      return Arrays.stream(executable.getParameters())
          .map(parameter -> argument(receiver, parameter))
          .toArray();
    }

    /** The call's result; throws what the method does. A scope is not left open. */
    Object invoke(Object receiver, Object... arguments) throws Throwable {
      try {
        Object result =
            executable instanceof Method method
                ? method.invoke(receiver, arguments)
                : ((Constructor<?>) executable).newInstance(arguments);
        close(result);
        return result;
      } catch (InvocationTargetException e) {
        throw e.getCause();
      } finally {
        close(receiver);
      }
    }

    private static void close(Object perhapsAScope) {
      if (perhapsAScope instanceof TensorScope scope) {
        scope.close();
      }
    }

    @Override
    public String toString() {
      return owner.getName().replaceFirst(".*\\.", "")
          + "."
          + executable.getName().replaceFirst(".*\\.", "")
          + Arrays.toString(executable.getParameters());
    }
  }

  private PublicApi() {}

  /** All calls, in a fixed order. */
  static List<Call> calls() throws IOException, URISyntaxException, ClassNotFoundException {
    List<Call> calls = new ArrayList<>();
    for (Class<?> type : publicClasses()) {
      List<Executable> executables = new ArrayList<>(List.of(type.getConstructors()));
      // An abstract class's methods are called on those that inherit them.
      if (!Modifier.isAbstract(type.getModifiers()) || type == StatisticsExchange.class) {
        executables.addAll(List.of(type.getMethods()));
        executables.addAll(inheritedFromHidden(type));
      }
      executables.stream()
          .filter(e -> e.getDeclaringClass().getPackage() == PublicApi.class.getPackage())
          .filter(e -> !isTheCompilers(e))
          .sorted(Comparator.comparing(Executable::toString))
          .forEach(e -> calls.add(new Call(type, e)));
    }
    return calls;
  }

  /** What classes that are not public give to one that is, which has but a bridge to it. */
  private static List<Method> inheritedFromHidden(Class<?> type) {
    List<Method> methods = new ArrayList<>();
    for (Class<?> above = type.getSuperclass(); above != null; above = above.getSuperclass()) {
      if (Modifier.isPublic(above.getModifiers())) {
        continue;
      }
      for (Method method : above.getDeclaredMethods()) {
        if (Modifier.isPublic(method.getModifiers())) {
          methods.add(method);
        }
      }
    }
    return methods;
  }

  private static List<Class<?>> publicClasses()
      throws IOException, URISyntaxException, ClassNotFoundException {
    Path classes =
        Path.of(Tensor.class.getProtectionDomain().getCodeSource().getLocation().toURI());
    List<String> names;
    try (Stream<Path> files = Files.list(classes.resolve("io/nativenorm"))) {
      names =
          files
              .map(file -> file.getFileName().toString())
              .filter(name -> name.endsWith(".class") && !name.equals("package-info.class"))
              .map(name -> "io.nativenorm." + name.replace(".class", ""))
              .sorted()
              .toList();
    }
    List<Class<?>> found = new ArrayList<>();
    for (String name : names) {
      Class<?> type = Class.forName(name);
      if (Modifier.isPublic(type.getModifiers())) {
        found.add(type);
      }
    }
    return found;
  }

  /** Bridges, a record's equals, an enum's valueOf: nothing that is written down here. */
  private static boolean isTheCompilers(Executable e) {
    Class<?> owner = e.getDeclaringClass();
    return e.isSynthetic()
        || (owner.isEnum() && List.of("values", "valueOf").contains(e.getName()))
        || (owner.isRecord() && e.getName().equals("equals"));
  }

  /** An object of a public class. */
  static Object example(Class<?> type) {
    if (type == Explanation.class) {
      return GroupNorm.of(1, 1).explanation(Tensor.zeros(SHAPE));
    } else if (type == Explanation.Choice.class) {
      return ((Explanation) example(Explanation.class)).inference();
    } else if (type == Tensor.class) {
      return Tensor.zeros(SHAPE);
    } else if (type == Pass.class) {
      return GroupNorm.of(1, 1).forwardTraining(Tensor.zeros(SHAPE));
    } else if (type == TensorScope.class) {
      return TensorScope.open();
    } else if (type == Gradients.class) {
      return ((Pass) example(Pass.class)).backward(Tensor.zeros(SHAPE));
    } else if (type == ChannelMoments.class) {
      return ChannelMoments.fromArray(new double[] {4, 0, 1});
    } else if (type == GradientSums.class) {
      return GradientSums.fromArray(new double[] {1, 1});
    } else if (type == Mask.class) {
      return Mask.lengths(SHAPE[2], SHAPE[2]);
    } else if (type == IncompatibleKeys.class) {
      return new IncompatibleKeys(List.of("a"), List.of());
    } else if (type == NativeNorm.EngineInfo.class) {
      return new NativeNorm.EngineInfo(Backend.JAVA, true, "");
    } else if (type == NativeNormException.class) {
      return new NativeNormException("");
    } else if (type == ExchangeException.class) {
      return new ExchangeException("", null);
    } else if (type == StatisticsExchange.class) {
      return StatisticsExchange.threads(1, Duration.ofSeconds(5)).get(0);
    } else if (type.isEnum()) {
      return type.getEnumConstants()[0];
    } else if (NormLayer.class.isAssignableFrom(type)) {
      return ((LayerBuilder<?>) example(type.getDeclaredClasses()[0])).build();
    } else if (type == BatchNorm.Builder.class) {
      return onJava(BatchNorm.builder(1));
    } else if (type == InstanceNorm.Builder.class) {
      return onJava(InstanceNorm.builder(1).trackRunningStats(true));
    } else if (type == GroupNorm.Builder.class) {
      return onJava(GroupNorm.builder(1, 1));
    } else if (type == LayerNorm.Builder.class) {
      return onJava(LayerNorm.builder(1));
    } else if (type == RmsNorm.Builder.class) {
      return onJava(RmsNorm.builder(1));
    }
    throw new AssertionError("say here how to make a " + type);
  }

  /** There an index that is out of bounds is an exception. */
  private static LayerBuilder<?> onJava(LayerBuilder<?> builder) {
    return builder.backend(Backend.JAVA);
  }

  /** A file of one tensor; it goes when the process ends. */
  static Path weightsFile() {
    try {
      Path file = Files.createTempFile("nativenorm", ".safetensors");
      file.toFile().deleteOnExit();
      return Files.write(file, new SafetensorsBytes().add("text", 1, 2).file(0));
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private static ByteBuffer bytes() {
    return ByteBuffer.allocateDirect(SIZE * Float.BYTES).order(ByteOrder.nativeOrder());
  }

  private static Object argument(Object receiver, Parameter parameter) {
    Class<?> type = parameter.getType();
    if (type == long[].class) {
      return switch (parameter.getName()) {
        case "normalizedShape" -> new long[] {1};
        case "index" -> new long[SHAPE.length];
        default -> SHAPE.clone();
      };
    } else if (type == float[].class) {
      return new float[isOfAParameter(parameter) ? 1 : SIZE];
    } else if (type == FloatBuffer.class) {
      return bytes().asFloatBuffer();
    } else if (type == ByteBuffer.class) {
      return bytes();
    } else if (type == Pointer.class) {
      return new FloatPointer(SIZE);
    } else if (type == Tensor.class && parameter.getName().equals("u8")) {
      return Tensor.allocate(DataType.U8, Layout.CHANNELS_FIRST, 2, 6, 1);
    } else if (type == Tensor.class) {
      return isOfAParameter(parameter) ? Tensor.zeros(1) : Tensor.zeros(SHAPE);
    } else if (type == AutoCloseable.class) {
      return Tensor.zeros(SHAPE);
    } else if (type == Path.class) {
      return weightsFile();
    } else if (type == Map.class) {
      return receiver == null ? Map.of() : ((NormLayer) receiver).state();
    } else if (type == List.class) {
      return parameter.getName().equals("calls") ? List.of("one", "another") : List.of();
    } else if (type == Duration.class) {
      return Duration.ofSeconds(5);
    } else if (type == Throwable.class) {
      return new ArithmeticException();
    } else if (type == Optional.class) {
      return Optional.empty();
    } else if (EXAMPLES.contains(type)) {
      return example(type);
    } else if (type == double[].class) {
      return new double
          [parameter.getDeclaringExecutable().getDeclaringClass() == GradientSums.class ? 2 : 3];
    } else if (type == String.class) {
      return "text";
    } else if (type == boolean.class) {
      return false;
    } else if (type == int.class) {
      return parameter.getName().equals("dimension") ? 0 : 1;
    } else if (type == Object.class) {
      return MEMORY;
    } else if (type == long.class) {
      return parameter.getName().equals("address") ? new BytePointer(MEMORY).address() : 1L;
    } else if (type == float.class) {
      return 1f;
    } else if (type == double.class) {
      return 1.0;
    } else if (type.isEnum()) {
      return type.getEnumConstants()[0];
    }
    throw new AssertionError("say here what to pass as a " + type);
  }

  private static boolean isOfAParameter(Parameter parameter) {
    return List.of("dWeight", "dBias").contains(parameter.getName());
  }
}
