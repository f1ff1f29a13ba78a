//! A benchmark takes nothing of the user's and leaves nothing of its own.

use super::*;
use paceline_core::ids::DEFAULT_GROUP;

#[test]
fn nothing_of_the_users_is_in_the_own_settings() {
    let user = Settings {
        namespace: "mine".into(),
        group: "other".into(),
        ledger_url: "embedded:data".into(),
        ..Settings::default()
    };
    let own = BenchNamespace::new(&user);
    assert!(!own.has_begun());
    let (settings, namespace) = (&own.settings, &own.settings.namespace);
    assert!(namespace.starts_with("bench-") && *namespace != BenchNamespace::new(&user).settings.namespace);
    assert_eq!((settings.group.as_str(), &settings.broker_url), (DEFAULT_GROUP, &user.broker_url));
    assert_eq!(settings.ledger_url, format!("embedded:data/{namespace}"));
    let leftovers = own.leftovers();
    assert!(
        leftovers.len() == 3
            && leftovers.iter().all(|left| left.what.contains(namespace) && left.by_hand.contains(namespace))
    );
    settings.check().unwrap();
}

#[test]
fn one_folder_for_all_is_one_folder() {
    let url = || "embedded:data".to_owned();
    let user = Settings { broker_url: url(), sink_url: url(), ledger_url: url(), ..Settings::default() };
    assert_eq!(BenchNamespace::new(&user).leftovers().len(), 1);
}

#[tokio::test]
async fn a_folder_goes_and_what_was_around_it_stays_if_it_holds_anything() {
    let around = tempfile::tempdir().unwrap();
    let url = || format!("embedded:{}/data", around.path().display());
    let user = Settings { broker_url: url(), sink_url: url(), ledger_url: url(), ..Settings::default() };
    let own = BenchNamespace::new(&user);
    let (path, data) = (&own.folders[0].path, around.path().join("data"));
    std::fs::create_dir_all(path).unwrap();
    std::fs::write(path.join("broker.db"), "x").unwrap();
    assert!(own.remove(true).await.is_empty());
    assert!(around.path().exists() && !data.exists());

    std::fs::create_dir_all(path).unwrap();
    std::fs::write(data.join("another"), "x").unwrap();
    assert!(own.remove(true).await.is_empty());
    assert!(data.join("another").exists() && !path.exists());
}

#[tokio::test]
async fn an_empty_folder_that_was_there_before_stays() {
    let around = tempfile::tempdir().unwrap();
    let ledger_url = format!("embedded:{}", around.path().display());
    let own = BenchNamespace::new(&Settings { ledger_url, ..Settings::default() });
    std::fs::create_dir(&own.folders[0].path).unwrap();
    assert!(own.remove(true).await.is_empty());
    assert!(around.path().exists() && !own.folders[0].path.exists());
}

#[tokio::test]
async fn what_cannot_be_removed_is_named() {
    let nobody = "127.0.0.1:9";
    let user = Settings {
        broker_url: format!("amqp://{nobody}"),
        sink_url: format!("http://{nobody}"),
        ledger_url: format!("redis://{nobody}"),
        ..Settings::default()
    };
    let own = BenchNamespace::new(&user);
    // As long as nothing was made there, nobody is told of it.
    assert!(own.remove(true).await.is_empty());
    own.begin();
    let left: Vec<Leftover> = own.remove(true).await.into_iter().map(|(left, _)| left).collect();
    assert_eq!(left, own.leftovers());
}
