use super::*;

fn wrong(text: &str) -> (Option<usize>, String) {
    parse(text).expect_err("wrong")
}

/// The sample with every setting in force.
fn in_force() -> String {
    let setting =
        |line: &str| line.strip_prefix('#').filter(|rest| !rest.starts_with(' ')).map(str::to_owned);
    sample().lines().map(|line| setting(line).unwrap_or_else(|| line.to_owned()) + "\n").collect()
}

#[test]
fn the_sample_is_the_default_state() {
    let default = format!("{:?}", Config::default());
    assert_eq!(format!("{:?}", parse(&sample()).expect("the sample")), default);
    // With every line in force only that keys are chosen, not default, differs.
    let chosen = format!("{:?}", parse(&in_force()).expect("the sample in force"));
    assert_eq!(chosen.replace("chosen: true", "chosen: false"), default);
}

#[test]
fn every_setting_is_in_the_sample() {
    let text = in_force();
    for setting in SETTINGS {
        assert!(text.contains(&format!("\n{} = {}\n", setting.name, setting.default)), "{}", setting.name);
    }
    assert!(text.lines().all(|line| line.chars().count() <= 120), "{text}");
}

#[test]
fn what_is_chosen_reaches_the_screen() {
    let text = "theme = \"dark\"\nascii = true\ntick = \"1s\"\nwindow = \"5m\"\nunits = \"bytes\"\nview = \"flows\"\n\
                mouse = false\n[colours]\ndepth = \"true\"\nbad = \"#102030\"\n[keys]\nfreeze = \"f\"\n";
    let options = parse(text).expect("good").options(&Environment::default());
    assert_eq!(options.tick, Duration::from_secs(1));
    let settings = options.settings;
    assert_eq!((settings.window_s, settings.view, settings.mouse), (300, View::Flows, false));
    assert_eq!(settings.units, RateUnit::Bytes);
    let theme = format!("{:?}", settings.theme);
    assert!(theme.contains("Rgb(16, 32, 48)") && theme.contains("ascii: true"), "{theme}");
}

#[test]
fn no_color_takes_chosen_colours_away_unless_the_depth_is_chosen_too() {
    let no_color = Environment { no_color: true, ..Environment::default() };
    let coloured = |text: &str| {
        let options = parse(text).expect("good").options(&no_color);
        format!("{:?}", options.settings.theme).to_lowercase().contains("magenta")
    };
    assert!(!coloured("[colours]\nbad = \"magenta\"\n"));
    assert!(coloured("[colours]\ndepth = 16\nbad = \"magenta\"\n"));
}

#[test]
fn what_is_wrong_is_told_with_its_line() {
    let cases = [
        ("\n\nthem = \"dark\"", 3, "there is no setting `them`; did you mean `theme`?"),
        ("[color]\n", 1, "there is no setting `color`; did you mean `colours`?"),
        (
            "theme = \"darc\"",
            1,
            "theme must be \"terminal\", \"dark\", \"light\", \"high-contrast\" or \"mono\"",
        ),
        ("zzz = 1", 1, "there is no setting `zzz`; `zcscope top --print-config` prints them all"),
        ("[colours]\nbad = \"rood\"", 2, "bad must be \"theme\", a name such as"),
        ("[colours]\ngod = \"red\"", 2, "there is no setting `god` in [colours]; did you mean `good`?"),
        ("[keys]\nzoomin = \"x\"", 2, "there is no action `zoomin`; did you mean `zoom-in`?"),
        ("[keys]\nquit = \"q\"\nsave = \"q\"", 3, "the key q cannot do both quit and save"),
        ("[keys]\nsave = \"hyper-x\"", 2, "`hyper-x` is no key: write one character"),
        ("[keys]\nsave = 7", 2, "save must be a key, or a list of keys, in quotes"),
        ("tick = \"1ms\"", 1, "tick must be a time from"),
        ("window = \"61s\"", 1, "window must be \"10s\""),
        ("mouse = \"yes\"", 1, "mouse must be true or false"),
        ("theme = \"dark\"\ntick = ", 2, "this is no TOML: "),
        ("tick = \"1s\"\ntick = \"2s\"", 2, "this is no TOML: duplicate key"),
    ];
    for (text, line, message) in cases {
        let (at, told) = wrong(text);
        assert!(told.starts_with(message), "{text:?}: {told}");
        assert_eq!(at, Some(line), "{text:?}");
        assert!(!told.contains('\n'), "{told}");
    }
    assert_eq!(wrong("[keys]\nquit = []").1, "quit has no key left; give it one under [keys]");
}
