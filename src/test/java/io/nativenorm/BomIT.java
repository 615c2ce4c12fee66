package io.nativenorm;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.File;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import javax.xml.parsers.DocumentBuilderFactory;
import org.junit.jupiter.api.Test;
import org.w3c.dom.Element;
import org.w3c.dom.NodeList;

/** The versions that nativenorm-bom and the docs name are those that this was built with. */
class BomIT {
  private static final Path JAR = Path.of(System.getProperty("nativenorm.jar"));

  private static final String PLATFORM = "(?:linux|macosx|windows)-(?:x86_64|arm64)";

  /** JavaCPP also has platforms that NativeNorm does not. */
  private static final Pattern BUILT_WITH =
      Pattern.compile("(?:javacpp|dnnl|opencl)(?:-platform)?-\\d[\\d.-]*?(?:-" + PLATFORM + ")?");

  /** The names of the jars, without their ending. */
  private static Set<String> managed() throws Exception {
    NodeList dependencies =
        DocumentBuilderFactory.newInstance()
            .newDocumentBuilder()
            .parse(JAR.resolveSibling("nativenorm-bom/pom.xml").toFile())
            .getElementsByTagName("dependency");
    Set<String> names = new TreeSet<>();
    for (int i = 0; i < dependencies.getLength(); i++) {
      Element dependency = (Element) dependencies.item(i);
      String name = text(dependency, "artifactId") + "-" + text(dependency, "version");
      String classifier = text(dependency, "classifier");
      names.add(classifier.isEmpty() ? name : name + "-" + classifier);
    }
    return names;
  }

  private static String text(Element element, String tag) {
    NodeList found = element.getElementsByTagName(tag);
    return found.getLength() == 0 ? "" : found.item(0).getTextContent();
  }

  @Test
  void itHasAllOfJavaCppAndOneDnnThatThisWasBuiltWith() throws Exception {
    Set<String> builtWith = new TreeSet<>();
    for (String path : System.getProperty("java.class.path").split(File.pathSeparator)) {
      String name = Path.of(path).getFileName().toString().replaceFirst("\\.jar$", "");
      if (BUILT_WITH.matcher(name).matches() && !name.endsWith("windows-arm64")) {
        builtWith.add(name);
      }
    }
    assertEquals(3 * (2 + 5), builtWith.size(), builtWith::toString);
    Set<String> managed = managed();
    managed.removeIf(name -> name.startsWith("nativenorm-"));
    assertEquals(builtWith, managed);
  }

  @Test
  void itHasAllOfNativeNorm() throws Exception {
    String name = JAR.getFileName().toString();
    String version = name.substring("nativenorm-".length());
    Set<String> ours = new TreeSet<>(Set.of(name));
    for (String beside : List.of("platform", "gloo", "spark")) {
      ours.add("nativenorm-" + beside + "-" + version);
    }
    for (String platform : JarsIT.PLATFORMS) {
      ours.add(name + "-" + platform);
    }
    Set<String> managed = managed();
    managed.removeIf(other -> !other.startsWith("nativenorm-"));
    assertEquals(ours, managed);
  }

  /** As sbt, Gradle and Maven write them. */
  @Test
  void theDocsNameTheseVersions() throws Exception {
    Pattern version =
        Pattern.compile(
            "(?:io\\.nativenorm|org\\.bytedeco)(?::|\" % \"|</groupId>\\s*<artifactId>)"
                + "([\\w-]+)(?::|\" % \"|</artifactId>\\s*<version>)(\\d[\\w.-]*)");
    Set<String> managed = managed();
    managed.add(JAR.getFileName().toString().replaceFirst("-", "-bom-"));
    int found = 0;
    for (String page : Set.of("README.md", "docs/loading.md", "docs/with-other-libraries.md")) {
      Matcher matcher = version.matcher(Files.readString(Path.of(page)));
      while (matcher.find()) {
        found++;
        String name = matcher.group(1) + "-" + matcher.group(2);
        assertTrue(managed.contains(name), page + ": " + name);
      }
    }
    assertTrue(found >= 9, found + " found");
  }
}
