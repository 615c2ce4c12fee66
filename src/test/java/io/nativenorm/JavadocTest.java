package io.nativenorm;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestFactory;
import org.junit.jupiter.api.io.TempDir;

/**
 * The code in the Javadoc of public types compiles and runs, and the pages a user begins with have
 * some; a layer's says what it takes, with what defaults, what it throws, and what it costs.
 */
class JavadocTest {
  private static final Path SOURCES = Path.of("src/main/java/io/nativenorm");

  private static final Pattern CODE =
      Pattern.compile("<pre>\\{@code\n(.*?)\n *\\* \\}</pre>", Pattern.DOTALL);

  /** The comment of a type: the last before its declaration at the beginning of a line. */
  private static final Pattern COMMENT =
      Pattern.compile(
          "^(/\\*\\*.*?\\*/)\n(?:@\\w+.*\n)*public ", Pattern.DOTALL | Pattern.MULTILINE);

  private static final List<String> BEGINNINGS =
      List.of("NormLayer", "Tensor", "TensorScope", "Pass", "Gradients", "Weights", "NativeNorm");

  private static final List<String> LAYERS =
      List.of("BatchNorm", "LayerNorm", "RmsNorm", "GroupNorm", "InstanceNorm");

  private static final List<String> PARTS = List.of("Input", "Defaults", "Errors", "Cost");

  @TempDir private Path folder;

  private static Map<String, String> sources() throws Exception {
    try (Stream<Path> files = Files.list(SOURCES)) {
      Map<String, String> sources = new HashMap<>();
      for (Path file : files.filter(Files::isRegularFile).toList()) {
        sources.put(file.getFileName().toString().replace(".java", ""), Files.readString(file));
      }
      return sources;
    }
  }

  private static String code(Matcher found) {
    return found
        .group(1)
        .lines()
        .map(line -> line.replaceFirst("^ *\\* ?", ""))
        .collect(Collectors.joining("\n"));
  }

  @TestFactory
  Stream<DynamicTest> snippetsRun() throws Exception {
    writeCheckpoint();
    Snippets snippets = new Snippets(folder, JavadocContext.class);
    Map<String, String> sources = sources();
    for (String type : new TreeSet<>(sources.keySet())) {
      Matcher found = CODE.matcher(sources.get(type));
      while (found.find()) {
        String code = code(found);
        // Segments of mapped files are a preview before JDK 22.
        if (!code.contains("MemorySegment") || Runtime.version().feature() >= 22) {
          snippets.add(type + ": " + code.lines().findFirst().orElseThrow().strip(), code);
        }
      }
    }
    return snippets.tests(20);
  }

  private void writeCheckpoint() throws Exception {
    try (BatchNorm norm = BatchNorm.of(256)) {
      Map<String, Tensor> state = new HashMap<>();
      norm.state().forEach((name, value) -> state.put("layer3.0.bn1." + name, value));
      Weights.write(folder.resolve("resnet50.safetensors"), state);
    }
  }

  @Test
  void thePagesOneBeginsWithHaveCode() throws Exception {
    Map<String, String> sources = sources();
    Set<String> without = new TreeSet<>();
    for (String type : Stream.concat(BEGINNINGS.stream(), LAYERS.stream()).toList()) {
      if (!CODE.matcher(comment(sources.get(type))).find()) {
        without.add(type);
      }
    }
    assertEquals(Set.of(), without);
  }

  @Test
  void layersSayWhatTheyTakeThrowAndCost() throws Exception {
    Map<String, String> sources = sources();
    Set<String> missing = new TreeSet<>();
    for (String layer : LAYERS) {
      String comment = comment(sources.get(layer));
      for (String part : PARTS) {
        if (!comment.contains("<p><b>" + part + ".</b>")) {
          missing.add(layer + ": " + part);
        }
      }
    }
    assertEquals(Set.of(), missing);
  }

  private static String comment(String source) {
    Matcher comment = COMMENT.matcher(source);
    assertTrue(comment.find());
    return comment.group(1);
  }
}
