package io.nativenorm.gloo;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/**
 * What docs/workers.md has in Java is what runs here, and its versions are those of this module.
 */
@Timeout(120)
class DocsTest {
  private static final Path PAGE = Path.of("../../../docs/workers.md");

  private static String withoutCommentsAndSpace(String java) {
    return java.replaceAll("(?m)//.*$", "").replaceAll("\\s", "");
  }

  /** Also that of Spark, whose test runs it. */
  @Test
  void itsCodeIsThatOfTheExamples() throws Exception {
    Matcher code =
        Pattern.compile("```java (\\w+)Example\n(.*?)```", Pattern.DOTALL)
            .matcher(Files.readString(PAGE));
    List<String> found = new ArrayList<>();
    while (code.find()) {
      String module = code.group(1).toLowerCase();
      String source = "src/test/java/io/nativenorm/%s/%sExample.java";
      Path file = Path.of("..", module, source.formatted(module, code.group(1)));
      assertTrue(
          withoutCommentsAndSpace(Files.readString(file))
              .contains(withoutCommentsAndSpace(code.group(2))),
          file.toString());
      found.add(module);
    }
    assertEquals(List.of("gloo", "spark"), found);
  }

  @Test
  void itRuns() throws Exception {
    List<Process> processes = new ArrayList<>();
    for (int rank = 0; rank < 2; rank++) {
      processes.add(
          new ProcessBuilder(
                  Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                  "-Xmx256m",
                  "-cp",
                  System.getProperty("java.class.path"),
                  GlooExample.class.getName(),
                  "" + rank,
                  "2")
              .inheritIO()
              .start());
    }
    for (Process process : processes) {
      assertTrue(process.waitFor(60, TimeUnit.SECONDS));
      assertEquals(0, process.exitValue());
    }
  }

  @Test
  void itsVersionsAreThoseOfTheModule() throws Exception {
    String pom = Files.readString(Path.of("pom.xml"));
    String javacpp = between(pom, "<javacpp.version>", "<");
    String pytorch = between(pom, "<pytorch.version>", "<").replace("${javacpp.version}", javacpp);
    String page = Files.readString(PAGE);
    assertEquals(
        pytorch, between(page, "<artifactId>pytorch-platform</artifactId>\n  <version>", "<"));
    String own = between(pom, "<artifactId>nativenorm-gloo</artifactId>\n  <version>", "<");
    assertEquals(own, between(page, "<artifactId>nativenorm-gloo</artifactId>\n  <version>", "<"));
  }

  private static String between(String text, String before, String after) {
    int from = text.indexOf(before) + before.length();
    return text.substring(from, text.indexOf(after, from));
  }
}
