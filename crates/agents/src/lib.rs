//! The stock interpreter of agent specifications: models, tools and the loop between them.
