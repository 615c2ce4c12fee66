package io.nativenorm;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestFactory;
import org.junit.jupiter.api.io.TempDir;

/**
 * The Java of the README and of docs compiles and runs, their links lead somewhere, the files that
 * they name are there, and the README is one page that begins as it has to.
 */
@SameOnAnyJvm
class DocsTest {
  private static final int MOST_LINES = 120;

  private static final Pattern JAVA = Pattern.compile("```java\n(.*?)```", Pattern.DOTALL);

  private static final Pattern LINK = Pattern.compile("\\]\\((?!https?:)([^)#]+)[^)]*\\)");

  /** As of a source, without a folder. */
  private static final Pattern FILE = Pattern.compile("`(\\w+(?:-inl)?\\.(?:java|cpp|h))`");

  @TempDir private Path folder;

  private static List<Path> pages() throws Exception {
    List<Path> pages = new ArrayList<>(List.of(Path.of("README.md"), Path.of("CONTRIBUTING.md")));
    try (Stream<Path> docs = Files.list(Path.of("docs"))) {
      docs.filter(page -> page.toString().endsWith(".md")).sorted().forEach(pages::add);
    }
    return pages;
  }

  @TestFactory
  Stream<DynamicTest> snippetsRun() throws Exception {
    Snippets snippets = new Snippets(folder, Snippets.Context.class);
    for (Path page : pages()) {
      Matcher found = JAVA.matcher(Files.readString(page));
      while (found.find()) {
        String code = found.group(1);
        snippets.add(page + ": " + code.strip().lines().findFirst().orElseThrow(), code);
      }
    }
    return snippets.tests(7);
  }

  @TestFactory
  Stream<DynamicTest> linksLeadSomewhere() throws Exception {
    List<DynamicTest> tests = new ArrayList<>();
    for (Path page : pages()) {
      Matcher links = LINK.matcher(Files.readString(page));
      while (links.find()) {
        Path target = page.toAbsolutePath().resolveSibling(links.group(1));
        tests.add(
            DynamicTest.dynamicTest(
                page + ": " + links.group(1), () -> assertTrue(Files.exists(target))));
      }
    }
    assertTrue(tests.size() >= 10, "only " + tests.size() + " links found");
    return tests.stream();
  }

  @Test
  void filesThatAreNamedAreThere() throws Exception {
    Set<String> files = new HashSet<>();
    for (String folder : List.of("src", "native", "bench/src")) {
      try (Stream<Path> tree = Files.walk(Path.of(folder))) {
        tree.forEach(file -> files.add(file.getFileName().toString()));
      }
    }
    Set<String> missing = new TreeSet<>();
    int found = 0;
    for (Path page : pages()) {
      Matcher names = FILE.matcher(Files.readString(page));
      while (names.find()) {
        found++;
        if (!files.contains(names.group(1))) {
          missing.add(page + ": " + names.group(1));
        }
      }
    }
    assertEquals(Set.of(), missing);
    assertTrue(found >= 20, "only " + found + " names found");
  }

  @Test
  void theReadmeIsOnePageThatBeginsWithCodeAndTheTwoCommands() throws Exception {
    List<String> lines = Files.readAllLines(Path.of("README.md"));
    assertTrue(lines.size() <= MOST_LINES, lines.size() + " lines");
    assertEquals("```java", lines.get(2));
    assertEquals("```", lines.get(11));
    assertEquals("```sh", lines.get(13));
    assertEquals("./build-native.sh --install", lines.get(14));
    assertEquals(
        "mvn -q package -DskipTests && java -jar target/nativenorm-all.jar", lines.get(15));
    assertEquals("```", lines.get(16));
  }
}
